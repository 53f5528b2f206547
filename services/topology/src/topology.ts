/**
 * What other processes, the servers and the documents have to know of a service. What follows from its name `<name>` is not said:
 * its database and stream `<name>`, its variables `<NAME>_PORT` and `<NAME>_URL`, its package `shop.<name>.v1` with the services it
 * answers for and, in `events.proto`, the events it publishes.
 */
export interface ServiceEntry {
  /** The default of its port, which is not for the public. */
  readonly port: number;
  /** How far its metrics port is from `METRICS_PORT`, where every service is a process of its own. */
  readonly metricsOffset: number;
  /** What it owns, in a few words, for the documents. */
  readonly owns: string;
  /** Full names of the events of other services that it consumes. */
  readonly consumes?: readonly string[];
  /** The services whose methods it calls, besides users for the keys of access tokens. */
  readonly calls?: readonly string[];
  /** Full names of services outside its package that it answers for. */
  readonly alsoServes?: readonly string[];
  /** Full names of events outside its package that it publishes, each in a stream of its own. */
  readonly alsoPublishes?: readonly string[];
  /** Whether it keeps answers in the cache. */
  readonly caches?: boolean;
  /** Variables that no other service may read. */
  readonly secrets?: readonly string[];
}

/** THE list of services. Everything that names a service is derived from it, or generated and compared by `npm run check`. */
export const topology = {
  users: {
    port: 50053,
    metricsOffset: 0,
    owns: "accounts, passwords, sessions, the keys of access tokens",
    alsoServes: ["shop.common.v1.TokenKeyService"],
    alsoPublishes: ["shop.common.v1.AccessRevoked"],
    secrets: ["TOKEN_KEYS_SECRET", "ADMIN_USERNAME", "ADMIN_PASSWORD"],
  },
  inventory: {
    port: 5001,
    metricsOffset: 1,
    owns: "catalogue, stock",
    consumes: [
      "shop.orders.v1.OrderPlaced",
      "shop.orders.v1.OrderCancelled",
      "shop.orders.v1.OrderShipped",
      "shop.orders.v1.OrderReturned",
    ],
    caches: true,
  },
  orders: {
    port: 5002,
    metricsOffset: 2,
    owns: "orders and how far they got",
    consumes: ["shop.inventory.v1.StockReserved", "shop.inventory.v1.StockRejected", "shop.users.v1.UserDeleted"],
    calls: ["inventory"],
    alsoServes: ["shop.common.v1.DeadLetterService"],
  },
} as const satisfies Readonly<Record<string, ServiceEntry>>;

/** The public port, which forwards to every service and keeps nothing. */
export const gatewayEntry = { port: 8080, metricsOffset: 3 } as const;
