/**
 * The facts of a service that other processes, the servers and the documents need. The rest follows from its name `<name>`: its database
 * and stream `<name>`, its variables `<NAME>_PORT` and `<NAME>_URL`, its package `shop.<name>.v1` with the services that it implements
 * and, in `events.proto`, the events that it publishes.
 */
export interface ServiceEntry {
  /** The default of its port, which must not be public. */
  readonly port: number;
  /** The offset of its metrics port from `METRICS_PORT` when the shop is split. */
  readonly metricsOffset: number;
  /** The data that it owns, in a few words, for the documents. */
  readonly owns: string;
  /** Full names of the events of other services that it consumes. */
  readonly consumes?: readonly string[];
  /** The services that it calls, besides users for the keys of access tokens. */
  readonly calls?: readonly string[];
  /** Full names of services outside its package that it implements. */
  readonly alsoServes?: readonly string[];
  /** Full names of events outside its package that it publishes, each in a stream of its own. */
  readonly alsoPublishes?: readonly string[];
  /** Whether it uses the cache. */
  readonly caches?: boolean;
  /** Variables that only this service may read. */
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
    owns: "orders and their status",
    consumes: ["shop.inventory.v1.StockReserved", "shop.inventory.v1.StockRejected", "shop.users.v1.UserDeleted"],
    calls: ["inventory"],
    alsoServes: ["shop.common.v1.DeadLetterService"],
  },
} as const satisfies Readonly<Record<string, ServiceEntry>>;

/** The public port, which forwards to all services and stores nothing. */
export const gatewayEntry = { port: 8080, metricsOffset: 3 } as const;
