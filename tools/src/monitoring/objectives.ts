import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { allServices } from "@shop/topology/contracts";

/** A service level objective over 30 days: the part of events that have to be good. */
export interface Objective {
  /** The label `slo` of its recorded error ratios. */
  readonly slo: string;
  /** The name of its alerts. */
  readonly alert: string;
  /** What is promised, as a sentence. */
  readonly promise: string;
  /** The part of good events: 0.999. */
  readonly target: number;
  /** PromQL: bad events a second, over a window such as `5m`. */
  bad(window: string): string;
  /** PromQL: all events a second. */
  all(window: string): string;
}

/** Codes of calls that failed by the shop's fault. Refusals because of load or of a limit (resource_exhausted) are not among them. */
const failures = "unavailable|internal|unknown|data_loss|deadline_exceeded";

/** A selector of calls at the public port. */
function callsOf(methods: readonly DescMethod[], code: string): string {
  const byService = Map.groupBy(methods, ({ parent }) => parent.typeName);
  const names = [...byService].map(([service, of]) => `${service}/(${of.map(({ name }) => name).join("|")})`).join("|");
  return `port="public",method=~"${names}"${code}`;
}

const sumOfRates = (series: string, window: string) => `sum(rate(${series}[${window}]))`;
/** Zero if there are none. */
const sumIfAny = (series: string, window: string) => `(${sumOfRates(series, window)} or vector(0))`;

/** Calls of the methods that do not fail by the shop's fault. */
function answered(methods: readonly DescMethod[]): Pick<Objective, "bad" | "all"> {
  const count = "shop_rpc_duration_seconds_count";
  return {
    bad: (window) => sumIfAny(`${count}{${callsOf(methods, `,code=~"${failures}"`)}}`, window),
    all: (window) => sumOfRates(`${count}{${callsOf(methods, "")}}`, window),
  };
}

/** Values of a histogram of at most `seconds`, which has to be one of its bounds. */
function within(seconds: number, histogram: string, labels: string): Pick<Objective, "bad" | "all"> {
  const [count, bucket] = [
    `${histogram}_count{${labels}}`,
    `${histogram}_bucket{${labels ? `${labels},` : ""}le="${seconds}"}`,
  ];
  return {
    bad: (window) => `(${sumOfRates(count, window)} - ${sumOfRates(bucket, window)})`,
    all: (window) => sumOfRates(count, window),
  };
}

function isForCustomers(rule: Access): boolean {
  return rule === Access.PUBLIC || rule === Access.AUTHENTICATED;
}

/** The unary reads of customers, signed in or not. */
const reads = allServices
  .flatMap(({ methods }) => methods)
  .filter(
    (method) =>
      method.methodKind === "unary" &&
      method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS &&
      isForCustomers(getOption(method, access)),
  );
const placing = [OrderService.method.createOrder];
const durationOf = (methods: readonly DescMethod[]) => callsOf(methods, ',code="ok"');

export const objectives: readonly Objective[] = [
  {
    slo: "reads-answered",
    alert: "ReadsFail",
    promise: "99.9% of customers' reads are answered",
    target: 0.999,
    ...answered(reads),
  },
  {
    slo: "reads-fast",
    alert: "ReadsSlow",
    promise: "99% of customers' reads are answered within 0.25 s",
    target: 0.99,
    ...within(0.25, "shop_rpc_duration_seconds", durationOf(reads)),
  },
  {
    slo: "orders-answered",
    alert: "OrderPlacementFails",
    promise: "99.9% of the calls that place an order are answered",
    target: 0.999,
    ...answered(placing),
  },
  {
    slo: "orders-fast",
    alert: "OrderPlacementSlow",
    promise: "99% of accepted orders are answered within 1 s",
    target: 0.99,
    ...within(1, "shop_rpc_duration_seconds", durationOf(placing)),
  },
  {
    slo: "orders-decided",
    alert: "OrdersDecidedLate",
    promise: "99.9% of accepted orders are decided within 10 s",
    target: 0.999,
    ...within(10, "shop_order_decision_seconds", ""),
  },
];
