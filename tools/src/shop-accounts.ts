import { consumedBy, ownerOf, type ServiceName, serviceNames, services } from "@shop/topology";
import type { Account } from "./infra/account.ts";

const revocationStream = "access-revocations";
const deadLetters = "dead-letters";

/** Of the JetStream API: https://docs.nats.io/reference/reference-protocols/nats_api_reference */
const api = (operation: string) => `$JS.API.${operation}`;

const streamsOf = (name: ServiceName) => [
  ...new Set([name, ...consumedBy(name).map(({ stream }) => stream), deadLetters, revocationStream]),
];

/** The subject of the notices about changes of a service's documents, between the processes that host it. */
const changesOf = (name: ServiceName) => `changes.${name}`;

function publishRights(name: ServiceName): string[] {
  return [
    `shop.${name}.v1.>`,
    changesOf(name),
    ...(services[name].alsoPublishes ?? []),
    api("INFO"),
    ...streamsOf(name).flatMap((stream) => [api(`STREAM.CREATE.${stream}`), api(`STREAM.INFO.${stream}`)]),
    // It also updates the settings of its own streams and of the shared ones.
    ...[name, deadLetters, revocationStream].map((stream) => api(`STREAM.UPDATE.${stream}`)),
    ...consumedBy(name).flatMap(({ stream, event, durable }) => [
      api(`CONSUMER.CREATE.${stream}.${durable}.${event}`),
      api(`CONSUMER.INFO.${stream}.${durable}`),
      api(`CONSUMER.MSG.NEXT.${stream}.${durable}`),
      `$JS.ACK.${stream}.${durable}.>`,
      `${deadLetters}.${durable}`,
    ]),
    // An ephemeral consumer in every process, with a name that the server chooses.
    api(`CONSUMER.CREATE.${revocationStream}`),
    ...["INFO", "MSG.NEXT", "DELETE"].map((operation) => api(`CONSUMER.${operation}.${revocationStream}.*`)),
  ];
}

const deadLetterOwner = ownerOf("shop.common.v1.DeadLetterService");

/**
 * One service hosts the dead letters of all: it reads and deletes them, and publishes events that have a consumer again. It
 * may query any consumer, since a dead letter may name a deleted one.
 */
function deadLetterRights(): string[] {
  const consumed = serviceNames.flatMap(consumedBy);
  return [
    api(`STREAM.MSG.GET.${deadLetters}`),
    api(`STREAM.MSG.DELETE.${deadLetters}`),
    api("STREAM.NAMES"),
    ...consumed.flatMap(({ stream, event }) => [event, api(`CONSUMER.INFO.${stream}.*`)]),
  ];
}

const cacheCommands = ["get", "mget", "getrange", "set", "del", "eval", "evalsha", "multi", "exec", "publish"];
const limitCommands = ["incrby", "pttl", "expire"];
const connectionCommands = ["hello", "ping", "info", "subscribe", "unsubscribe"];

function accountOf(name: string, hosted: readonly ServiceName[]): Account {
  const rights = hosted.flatMap((service) => [
    ...publishRights(service),
    ...(service === deadLetterOwner ? deadLetterRights() : []),
  ]);
  return {
    name,
    mongodb: { databases: hosted },
    redis: {
      // Only some processes cache answers; every process subscribes to invalidations.
      keys: [
        ...(hosted.some((service) => services[service].caches) ? ["cache:*"] : []),
        ...hosted.map((service) => `${service}:limit:*`),
      ],
      channels: ["cache:changes", "cache:changes:beats:*"],
      commands: [...connectionCommands, ...cacheCommands, ...limitCommands],
    },
    nats: { publish: [...new Set(rights)], subscribe: hosted.map(changesOf) },
  };
}

/**
 * The accounts of the shop's processes: one for each service that stores data, with its own database, keys and subjects, and
 * one for the process that hosts all of them. The gateway stores nothing and has none.
 */
export const shopAccounts: readonly Account[] = [
  ...serviceNames.map((name) => accountOf(name, [name])),
  accountOf("all-in-one", serviceNames),
];
