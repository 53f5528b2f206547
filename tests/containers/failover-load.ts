import { setTimeout as delay } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { reasonOf } from "@shop/client";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";

const readinessEveryMs = 250;
const readinessTimeoutMs = 1_000;
const attempts = 3;
const callTimeoutMs = 8_000;

/** A gateway as the load's balancer sees it. */
interface Target {
  readonly url: string;
  readonly transports: Readonly<Record<string, Transport>>;
  ready: boolean;
}

/** What the load counted. */
export interface LoadReport {
  /** Requests that were answered as they should be. */
  answered: number;
  /** Requests without a good answer after all attempts, as text. */
  readonly failed: string[];
  /** Attempts that were repeated at the other gateway, by what broke. */
  readonly failovers: Record<string, number>;
  /** Of all requests with their repetitions, in milliseconds. */
  slowestMs: number;
  /** The accepted orders. */
  readonly orderIds: Set<string>;
}

export interface FailoverLoad {
  /** Ends the load once requests in progress have their answers. */
  stop(): Promise<LoadReport>;
  readonly report: LoadReport;
}

/**
 * Places orders with idempotency keys and reads products and orders, continuously, through several gateways in every protocol. It
 * behaves like a load balancer with health checks: it uses the gateways whose `/readyz` is 200, in turn, and repeats a request
 * at another one if its connection broke. It never repeats a request that the shop has refused: such a refusal is a failure.
 */
export function startFailoverLoad(
  urls: readonly string[],
  { tokens, productIds }: { readonly tokens: readonly string[]; readonly productIds: readonly string[] },
): FailoverLoad {
  const report: LoadReport = { answered: 0, failed: [], failovers: {}, slowestMs: 0, orderIds: new Set() };
  const stopping = new AbortController();
  const targets = urls.map((url): Target => ({ url, transports: transportsTo(url), ready: true }));
  const protocols = Object.keys(targets[0]!.transports);
  let turn = 0;

  async function watchReadiness(target: Target): Promise<void> {
    while (!stopping.signal.aborted) {
      const signal = AbortSignal.timeout(readinessTimeoutMs);
      target.ready = await fetch(`${target.url}/readyz`, { signal }).then(
        async (response) => {
          await response.text();
          return response.ok;
        },
        () => false,
      );
      await delay(readinessEveryMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  /** The ready targets in turn, then the others. */
  function inTurn(): Target[] {
    const first = turn++ % targets.length;
    const wheel = [...targets.slice(first), ...targets.slice(0, first)];
    return wheel.sort((a, b) => Number(b.ready) - Number(a.ready));
  }

  async function request(what: string, protocol: string, send: (transport: Transport) => Promise<void>): Promise<void> {
    const startedAt = performance.now();
    const wheel = inTurn();
    for (let attempt = 0; ; attempt++) {
      const target = wheel[attempt % wheel.length]!;
      try {
        await send(target.transports[protocol]!);
        report.answered += 1;
        break;
      } catch (error) {
        const { code, rawMessage } = ConnectError.from(error);
        const reason = reasonOf(error);
        const shown = `${what} by ${protocol}: ${Code[code]} ${reason ?? ""} ${rawMessage}`;
        if (reason !== undefined || attempt + 1 >= attempts) {
          report.failed.push(`${new Date().toISOString()} ${target.url} ${shown}`);
          break;
        }
        report.failovers[shown] = (report.failovers[shown] ?? 0) + 1;
      }
    }
    report.slowestMs = Math.max(report.slowestMs, performance.now() - startedAt);
  }

  async function call(token: string, caller: number): Promise<void> {
    const headers = { authorization: `Bearer ${token}` };
    for (let n = 0; !stopping.signal.aborted; n++) {
      const protocol = protocols[n % protocols.length]!;
      const productId = productIds[(caller + n) % productIds.length]!;
      const requestId = `rolling-${caller}-${n}`;
      let orderId = "";
      await request("CreateOrder", protocol, async (transport) => {
        const orders: Client<typeof OrderService> = createClient(OrderService, transport);
        const { order } = await orders.createOrder({ items: [{ productId, quantity: 1 }], requestId }, { headers });
        orderId = order!.orderId;
        report.orderIds.add(orderId);
      });
      if (orderId !== "") {
        await request("GetOrderByID", protocol, async (transport) => {
          await createClient(OrderService, transport).getOrderByID({ orderId }, { headers });
        });
      }
      await request("GetProductByID", protocol, async (transport) => {
        await createClient(InventoryService, transport).getProductByID({ productId });
      });
    }
  }

  const running = [...targets.map(watchReadiness), ...tokens.map(call)];
  return {
    report,
    async stop() {
      stopping.abort();
      await Promise.all(running);
      return report;
    },
  };
}

function transportsTo(baseUrl: string): Record<string, Transport> {
  const options = { baseUrl, defaultTimeoutMs: callTimeoutMs };
  return {
    Connect: createConnectTransport({ ...options, httpVersion: "1.1" }),
    gRPC: createGrpcTransport(options),
    "gRPC-Web": createGrpcWebTransport(options),
  };
}
