import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { alerts, objectives, prometheusRules } from "@shop/tools/monitoring";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Firing, promtool, rulesFile, type SeriesValues, unexpectedlyFiring } from "./promtool.ts";

const scraped: SeriesValues = { 'up{job="shop",instance="a"}': "1x200" };
const calls = (what: string, method: string, labels: string) =>
  `shop_rpc_duration_seconds_${what}{port="public",method="shop.${method}"${labels}}`;
const read = "inventory.v1.InventoryService/GetProductByID";
const placing = "orders.v1.OrderService/CreateOrder";

/** 10,000 events a minute, and the bad ones among them. */
const seriesOf: Readonly<Record<string, (bad: string, good: string, all: string) => SeriesValues>> = {
  "reads-answered": (bad, good) => ({
    [calls("count", read, ',code="ok"')]: good,
    [calls("count", read, ',code="unavailable"')]: bad,
  }),
  "reads-fast": (_, good, all) => ({
    [calls("count", read, ',code="ok"')]: all,
    [calls("bucket", read, ',code="ok",le="0.25"')]: good,
  }),
  "orders-answered": (bad, good) => ({
    [calls("count", placing, ',code="ok"')]: good,
    [calls("count", placing, ',code="deadline_exceeded"')]: bad,
  }),
  "orders-fast": (_, good, all) => ({
    [calls("count", placing, ',code="ok"')]: all,
    [calls("bucket", placing, ',code="ok",le="1"')]: good,
  }),
  "orders-decided": (_, good, all) => ({
    shop_order_decision_seconds_count: all,
    'shop_order_decision_seconds_bucket{le="10"}': good,
  }),
};

describe.each(objectives)("$alert", ({ slo, alert, target }) => {
  /** The error budget is spent at this rate: all the time, or in the first `minutes`. */
  const spent = (rate: number, minutes = 40): SeriesValues => {
    const bad = Math.round(10_000 * rate * (1 - target));
    const then = (each: number, after: number) => `0+${each}x${minutes} ${each * minutes}+${after}x120`;
    return { ...scraped, ...seriesOf[slo]!(then(bad, 0), then(10_000 - bad, 10_000), then(10_000, 10_000)) };
  };
  const [fast, slow, slowest] = (
    [
      ["page", "1h"],
      ["page", "6h"],
      ["ticket", "3d"],
    ] as const
  ).map(([severity, window]): Firing => ({ alertname: alert, severity, window })) as [Firing, Firing, Firing];

  test.each([
    [15, [fast, slow, slowest]],
    [7, [slow, slowest]],
    [1.1, [slowest]],
    [0.9, []],
  ] as const)("at %s times the budget: %o", (rate, expected) => {
    expect(unexpectedlyFiring(spent(rate), 30, expected)).toBeUndefined();
  });

  test("is silent for five bad minutes after a good hour, and ends soon after the last bad minute", () => {
    const [hour, burst] = [60, 5];
    const bad = Math.round(10_000 * 15 * (1 - target));
    const values = (before: number, during: number) => `0+${before}x${hour} ${before * hour}+${during}x${burst}`;
    const series = {
      ...scraped,
      ...seriesOf[slo]!(values(0, bad), values(10_000, 10_000 - bad), values(10_000, 10_000)),
    };
    expect(unexpectedlyFiring(series, hour + burst, [])).toBeUndefined();
    // An hour at 20 times the budget, then none: the short window of the fast alert is over, that of the others is not.
    expect(unexpectedlyFiring(spent(20, 60), 60, [fast, slow, slowest])).toBeUndefined();
    expect(unexpectedlyFiring(spent(20, 60), 66, [slow, slowest])).toBeUndefined();
    expect(unexpectedlyFiring(spent(20, 60), 96, [slowest])).toBeUndefined();
  });
});

describe("in a small shop", () => {
  /** Values of a counter of events in these minutes: 0 before the first. */
  const counted = (minutes: readonly number[], until: number) =>
    Array.from({ length: until + 1 }, (_, now) => minutes.filter((minute) => minute <= now).length).join(" ");
  /** The same, but the counter's series begins with its first event, as in a process that has just started. */
  const appearing = (minutes: readonly number[], until: number) =>
    counted(minutes, until).replaceAll(/(?<=^| )0(?= |$)/g, "_");
  /** The minutes of events that are `apart` minutes from each other. */
  const minutesOf = (events: number, apart: number, first = apart) =>
    Array.from({ length: events }, (_, event) => first + apart * event);
  const mixed = (slo: string, bad: readonly number[], good: readonly number[], until: number): SeriesValues => ({
    ...seriesOf[slo]!(counted(bad, until), counted(good, until), counted([...bad, ...good], until)),
    'up{job="shop",instance="a"}': `1x${until}`,
  });
  const allBad = (slo: string, bad: readonly number[], until: number): SeriesValues => ({
    ...seriesOf[slo]!(appearing(bad, until), `0x${until}`, appearing(bad, until)),
    'up{job="shop",instance="a"}': `1x${until}`,
  });
  const alertsOf = (alertname: string): [Firing, Firing, Firing] => [
    { alertname, severity: "page", window: "1h" },
    { alertname, severity: "page", window: "6h" },
    { alertname, severity: "ticket", window: "3d" },
  ];
  const firing = (series: SeriesValues, minute: number, expected: readonly Firing[]) =>
    expect(unexpectedlyFiring(series, minute, expected, "15s")).toBeUndefined();

  describe.each(objectives)("$alert", ({ slo, alert }) => {
    test.each([1, 4])("is silent after %i bad events among a few", (bad) => {
      const [first, minute] = [21, 27];
      firing(mixed(slo, minutesOf(bad, 1, first), minutesOf(minute, 1), minute), minute - 1, []);
    });

    test("fires after 5 bad events among a few", () => {
      const minute = 28;
      firing(mixed(slo, minutesOf(5, 1, 21), minutesOf(minute, 1), minute), minute, alertsOf(alert));
    });

    test.each([1, 10])("fires when ten of ten events are bad (one each %i min)", (apart) => {
      firing(allBad(slo, minutesOf(10, apart), 62), apart === 1 ? 10 : 62, alertsOf(alert));
    });
  });

  test("two orders an hour that all fail page within three hours", () => {
    const [, slow, slowest] = alertsOf("OrderPlacementFails");
    firing(allBad("orders-answered", minutesOf(6, 30), 190), 184, [slow, slowest]);
  });

  test("an order that fails every ninety minutes makes a ticket", () => {
    const [, , slowest] = alertsOf("OrderPlacementFails");
    const minute = 375;
    firing(mixed("orders-answered", minutesOf(5, 91, 6), minutesOf(12, 30), minute), minute, [slowest]);
  });
});

/** Of each other alert: series with which it fires in a minute, and nearly the same ones with which it does not. */
const conditions: Readonly<Record<string, { minute: number; fires: SeriesValues; silent: SeriesValues }>> = {
  InvariantBroken: {
    minute: 1,
    fires: { 'shop_audit_findings{service="orders",invariant="ORDER_STUCK_PENDING",instance="a"}': "1x10" },
    silent: { 'shop_audit_findings{service="orders",invariant="ORDER_STUCK_PENDING",instance="a"}': "0x10" },
  },
  NoMetrics: {
    minute: 3,
    // One process that can't be scraped is enough, if it is the only one.
    fires: { 'up{job="shop",instance="a"}': "_x10", 'up{job="other",instance="a"}': "1x10" },
    silent: { 'up{job="shop",instance="a"}': "1x10" },
  },
  PublicPortUnreachable: {
    // Before ProcessUnreachable, which is held for longer.
    minute: 6,
    fires: {
      'up{job="shop",instance="gateway"}': "1x4 0x10",
      'shop_rpc_duration_seconds_count{port="public",instance="gateway"}': "5x4 stale",
      'shop_rpc_duration_seconds_count{port="internal",instance="a"}': "5x10",
    },
    silent: {
      'up{job="shop",instance="gateway"}': "1x4 0x10",
      'shop_rpc_duration_seconds_count{port="public",instance="gateway"}': "5x4 stale",
      'up{job="shop",instance="gateway-2"}': "1x10",
      'shop_rpc_duration_seconds_count{port="public",instance="gateway-2"}': "5x10",
    },
  },
  ProcessUnreachable: {
    minute: 3,
    fires: { 'up{job="shop",instance="b"}': "0x10" },
    silent: { 'up{job="shop",instance="b"}': "1 0 1x10" },
  },
  DependencyUnreadable: {
    minute: 2,
    fires: {
      'shop_dependency_up{dependency="nats",instance="a"}': "1 0x10",
      'shop_dependency_up{dependency="nats",instance="b"}': "1x10",
    },
    silent: { 'shop_dependency_up{dependency="nats",instance="a"}': "1 0 1x10" },
  },
  DeadLetters: {
    minute: 1,
    fires: { 'shop_dead_letters{consumer="inventory-order-placed"}': "1x10" },
    silent: { 'shop_dead_letters{consumer="inventory-order-placed"}': "0x10" },
  },
  OutboxDelayed: {
    minute: 2,
    fires: { 'shop_outbox_oldest_pending_age_seconds{service="orders"}': "50 110 170" },
    silent: { 'shop_outbox_oldest_pending_age_seconds{service="orders"}': "50 59 0 61" },
  },
  ConsumerBehind: {
    minute: 5,
    fires: { 'shop_consumer_pending_messages{consumer="inventory-order-placed"}': "10001x10" },
    silent: { 'shop_consumer_pending_messages{consumer="inventory-order-placed"}': "10000x10" },
  },
  ConsumerFailing: {
    minute: 10,
    fires: { 'shop_consumer_redelivered_messages{consumer="inventory-order-placed"}': "1x10" },
    silent: { 'shop_consumer_redelivered_messages{consumer="inventory-order-placed"}': "1 1 1 0x10" },
  },
  AuditsOverdue: {
    minute: 181,
    fires: { 'shop_audit_last_end_timestamp_seconds{service="orders"}': "0x200" },
    silent: { 'shop_audit_last_end_timestamp_seconds{service="orders"}': "0+60x200" },
  },
  OrdersRefused: {
    minute: 15,
    fires: {
      [calls("count", placing, ',code="ok"')]: "0+94x20",
      [calls("count", placing, ',code="resource_exhausted"')]: "0+6x20",
      // Fast enough for the objective.
      [calls("bucket", placing, ',code="ok",le="1"')]: "0+94x20",
    },
    silent: {
      [calls("count", placing, ',code="ok"')]: "0+96x20",
      [calls("count", placing, ',code="resource_exhausted"')]: "0+4x20",
      [calls("bucket", placing, ',code="ok",le="1"')]: "0+96x20",
    },
  },
  CallsFailInternally: {
    minute: 2,
    // The first failure of its kind in a process.
    fires: { 'shop_rpc_duration_seconds_count{port="internal",method="a.B/C",code="internal"}': "_x1 1x10" },
    silent: { 'shop_rpc_duration_seconds_count{port="internal",method="a.B/C",code="unavailable"}': "0+1x10" },
  },
  ExceptionContained: {
    minute: 2,
    fires: { 'shop_network_errors_total{on="stream",kind="exception"}': "_x1 1x10" },
    silent: { 'shop_network_errors_total{on="stream",kind="error"}': "0+1x10" },
  },
  EventLoopDelayed: {
    minute: 10,
    fires: { 'nodejs_eventloop_lag_p99_seconds{instance="a"}': "0.3x10" },
    silent: { 'nodejs_eventloop_lag_p99_seconds{instance="a"}': "0.3x5 0.1 0.3x5" },
  },
  CacheIneffective: {
    minute: 15,
    fires: {
      'shop_cache_reads_total{read="product",source="origin"}': "0+660x20",
      'shop_cache_reads_total{read="product",source="memory"}': "0+440x20",
    },
    silent: {
      'shop_cache_reads_total{read="product",source="origin"}': "0+660x20",
      'shop_cache_reads_total{read="product",source="memory"}': "0+700x20",
      // Few reads, each of which finds its entry expired.
      'shop_cache_reads_total{read="page",source="origin"}': "0+500x20",
    },
  },
  ConnectionsRefused: {
    minute: 7,
    fires: { 'shop_connections_refused_total{limit="address"}': "0+1x10" },
    silent: { 'shop_connections_refused_total{limit="address"}': "5x10" },
  },
  BuffersFull: {
    minute: 7,
    fires: { 'shop_bytes_refused_total{what="request"}': "0+1x10" },
    silent: { 'shop_bytes_refused_total{what="request"}': "5x10" },
  },
};

describe.each(alerts)("$alert", ({ alert, severity }) => {
  const { minute, fires, silent } = conditions[alert]!;

  test("fires when its condition holds", () => {
    expect(unexpectedlyFiring({ ...scraped, ...fires }, minute, [{ alertname: alert, severity }])).toBeUndefined();
  });

  test("is silent when the condition nearly holds", () => {
    expect(unexpectedlyFiring({ ...scraped, ...silent }, minute, [])).toBeUndefined();
  });
});

test("the rules, and those with shortened windows, are valid", () => {
  const folder = mkdtempSync(join(tmpdir(), "shop-rules-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "rules.yaml"), prometheusRules(1 / 60));
  expect(promtool("check", "rules", rulesFile, join(folder, "rules.yaml"))).toBeUndefined();
  expect(promtool("check", "config", join(dirname(rulesFile), "prometheus.yaml"))).toBeUndefined();
});
