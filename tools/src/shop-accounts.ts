import type { Account } from "./infra/account.ts";

/** An event that a service consumes. */
interface Consumed {
  readonly stream: string;
  readonly event: string;
  readonly durable: string;
}

/** A service that keeps data, as far as the servers have to know it. */
interface ServiceOnServers {
  readonly name: string;
  /** What it publishes: subjects. */
  readonly publishes: readonly string[];
  readonly consumes: readonly Consumed[];
}

const revocations = { stream: "access-revocations", subject: "shop.common.v1.AccessRevoked" };
const deadLetters = "dead-letters";

const users: ServiceOnServers = {
  name: "users",
  publishes: ["shop.users.v1.>", revocations.subject],
  consumes: [],
};

const inventory: ServiceOnServers = {
  name: "inventory",
  publishes: ["shop.inventory.v1.>"],
  consumes: ["Placed", "Cancelled", "Shipped", "Returned"].map((what) => ({
    stream: "orders",
    event: `shop.orders.v1.Order${what}`,
    durable: `inventory-order-${what.toLowerCase()}`,
  })),
};

const orders: ServiceOnServers = {
  name: "orders",
  publishes: ["shop.orders.v1.>"],
  consumes: [
    { stream: "inventory", event: "shop.inventory.v1.StockReserved", durable: "orders-stock-reserved" },
    { stream: "inventory", event: "shop.inventory.v1.StockRejected", durable: "orders-stock-rejected" },
    { stream: "users", event: "shop.users.v1.UserDeleted", durable: "orders-user-deleted" },
  ],
};

/** Of the JetStream API: https://docs.nats.io/reference/reference-protocols/nats_api_reference */
const api = (operation: string) => `$JS.API.${operation}`;

const streamsOf = ({ name, consumes }: ServiceOnServers) => [
  ...new Set([name, ...consumes.map(({ stream }) => stream), deadLetters, revocations.stream]),
];

function publishRights(service: ServiceOnServers): string[] {
  return [
    ...service.publishes,
    api("INFO"),
    ...streamsOf(service).flatMap((stream) => [api(`STREAM.CREATE.${stream}`), api(`STREAM.INFO.${stream}`)]),
    // Its own streams, and those that all share, it brings to its settings too.
    ...[service.name, deadLetters, revocations.stream].map((stream) => api(`STREAM.UPDATE.${stream}`)),
    ...service.consumes.flatMap(({ stream, event, durable }) => [
      api(`CONSUMER.CREATE.${stream}.${durable}.${event}`),
      api(`CONSUMER.INFO.${stream}.${durable}`),
      api(`CONSUMER.MSG.NEXT.${stream}.${durable}`),
      `$JS.ACK.${stream}.${durable}.>`,
      `${deadLetters}.${durable}`,
    ]),
    // A follower in every process, under a name that the server chooses.
    api(`CONSUMER.CREATE.${revocations.stream}`),
    ...["INFO", "MSG.NEXT", "DELETE"].map((operation) => api(`CONSUMER.${operation}.${revocations.stream}.*`)),
  ];
}

/**
 * Orders answers for the dead letters of all: it reads them, takes them away, and publishes again what is still consumed. It may
 * ask for any consumer, since a dead letter may name one that is gone.
 */
function deadLetterRights(services: readonly ServiceOnServers[]): string[] {
  const consumed = services.flatMap(({ consumes }) => consumes);
  return [
    api(`STREAM.MSG.GET.${deadLetters}`),
    api(`STREAM.MSG.DELETE.${deadLetters}`),
    api("STREAM.NAMES"),
    ...consumed.flatMap(({ stream, event }) => [event, api(`CONSUMER.INFO.${stream}.*`)]),
  ];
}

const cacheCommands = ["get", "mget", "getrange", "set", "del", "eval", "evalsha", "multi", "exec", "publish"];
const limitCommands = ["incrby", "pttl", "expire"];
const connectionCommands = ["hello", "ping", "info", "subscribe", "unsubscribe", "client|setinfo", "client|setname"];

function accountOf(name: string, hosted: readonly ServiceOnServers[]): Account {
  const rights = hosted.flatMap((service) => [
    ...publishRights(service),
    ...(service === orders ? deadLetterRights([users, inventory, orders]) : []),
  ]);
  return {
    name,
    mongodb: { databases: hosted.map((service) => service.name) },
    redis: {
      // Only inventory caches answers; every process listens for what changed.
      keys: [...(hosted.includes(inventory) ? ["cache:*"] : []), ...hosted.map((service) => `${service.name}:limit:*`)],
      channels: ["cache:changes", "cache:changes:beats:*"],
      commands: [...connectionCommands, ...cacheCommands, ...limitCommands],
    },
    nats: { publish: [...new Set(rights)] },
  };
}

/**
 * The accounts of the shop's processes: one for each service that keeps data, with its own database, keys and subjects, and
 * one for the process that hosts them all. The gateway keeps nothing and has none.
 */
export const shopAccounts: readonly Account[] = [
  ...[users, inventory, orders].map((service) => accountOf(service.name, [service])),
  accountOf("all-in-one", [users, inventory, orders]),
];
