import { describe, expect, test, vi } from "vitest";
import { checkImports, importRules } from "../../tools/src/check-import-rules.ts";
import { repositoryRoot } from "../../tools/src/repository-root.ts";
import { type Files, plantRepository } from "./planted-repository.ts";

// The first cruise loads the TypeScript compiler.
vi.setConfig({ testTimeout: 60_000 });

/** A violation, and the rules that must see it: only the named one unless said otherwise. */
interface Planted {
  readonly rule: string;
  readonly when: string;
  readonly files: Files;
  readonly alsoFires?: readonly string[];
}

const planted: readonly Planted[] = [
  {
    rule: "no-cycles",
    when: "two modules import each other",
    files: {
      "platform/src/a.ts": 'import { b } from "./b.ts"; export const a = b;',
      "platform/src/b.ts": 'import { a } from "./a.ts"; export const b = () => a;',
    },
  },
  {
    rule: "no-cycles",
    when: "two modules import each other's types",
    files: {
      "platform/src/a.ts": 'import type { B } from "./b.ts"; export type A = B | 1;',
      "platform/src/b.ts": 'import type { A } from "./a.ts"; export type B = A | 2;',
    },
  },
  {
    rule: "everything-resolves",
    when: "an import leads nowhere",
    files: { "platform/src/a.ts": 'export * from "./nowhere.ts";' },
  },
  {
    rule: "gen-imports-nothing-of-ours",
    when: "generated code imports the platform",
    files: { "gen/src/shop/orders/v1/order_pb.ts": 'export { DomainError } from "@shop/platform";' },
  },
  {
    rule: "client-runs-anywhere",
    when: "the client imports the platform",
    files: { "client/src/a.ts": 'export { DomainError } from "@shop/platform";' },
  },
  {
    rule: "client-runs-anywhere",
    when: "the client imports what only Node has",
    files: { "client/src/a.ts": 'export { randomUUID } from "node:crypto";' },
  },
  {
    rule: "client-runs-anywhere",
    when: "the client imports Connect's transports for Node",
    files: { "client/src/a.ts": 'export { createGrpcTransport } from "@connectrpc/connect-node";' },
  },
  {
    rule: "product-imports-no-client",
    when: "a service imports the client",
    files: { "services/orders/src/a.ts": 'export { createShop } from "@shop/client";' },
  },
  {
    rule: "platform-imports-no-business",
    when: "the platform imports a service",
    files: { "platform/src/a.ts": 'export { orders } from "@shop/orders";' },
  },
  {
    rule: "platform-imports-no-business",
    when: "a test of the platform imports the gateway",
    files: { "platform/src/a.test.ts": 'import { gateway } from "@shop/gateway"; gateway;' },
  },
  {
    rule: "platform-knows-common-messages-only",
    when: "the platform imports the type of an order's event",
    files: { "platform/src/a.ts": 'export type { OrderPlaced } from "@shop/gen/shop/orders/v1/events_pb";' },
  },
  {
    rule: "rest-stands-alone",
    when: "the transcoder imports the platform's errors",
    files: { "platform/src/rpc/rest/a.ts": 'export { DomainError } from "../../errors.ts";' },
  },
  {
    rule: "rest-stands-alone",
    when: "the transcoder imports one of our messages",
    files: { "platform/src/rpc/rest/a.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";' },
  },
  {
    rule: "rest-knows-no-framework",
    when: "the transcoder imports a type of Fastify",
    files: { "platform/src/rpc/rest/a.ts": 'export type { FastifyReply } from "fastify";' },
  },
  {
    rule: "lean-stands-alone",
    when: "the short way imports the platform's errors",
    files: { "platform/src/rpc/lean/a.ts": 'export { DomainError } from "../../errors.ts";' },
  },
  {
    rule: "lean-stands-alone",
    when: "the short way imports one of our messages",
    files: { "platform/src/rpc/lean/a.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";' },
  },
  {
    rule: "lean-stands-alone",
    when: "the short way imports a type of Fastify",
    files: { "platform/src/rpc/lean/a.ts": 'export type { FastifyReply } from "fastify";' },
  },
  {
    rule: "gateway-imports-no-service",
    when: "the gateway imports a service",
    files: { "gateway/src/a.ts": 'export { orders } from "@shop/orders";' },
  },
  {
    rule: "service-imports-no-service",
    when: "a service imports another",
    files: { "services/orders/src/a.ts": 'export { inventory } from "@shop/inventory";' },
  },
  {
    rule: "service-imports-no-service",
    when: "a service imports all-in-one",
    files: {
      "services/all-in-one/src/service.ts": "export const everything = {};",
      "services/orders/src/a.ts": 'export { everything } from "../../all-in-one/src/service.ts";',
    },
  },
  {
    rule: "service-imports-no-gateway",
    when: "a service imports the gateway",
    files: { "services/orders/src/a.ts": 'export { gateway } from "@shop/gateway";' },
  },
  {
    rule: "packages-through-their-doors",
    when: "a service reaches into the platform",
    files: {
      "platform/src/mongo/lease.ts": "export const lease = {};",
      "services/orders/src/a.ts": 'export { lease } from "../../../platform/src/mongo/lease.ts";',
    },
  },
  {
    rule: "packages-through-their-doors",
    when: "all-in-one reaches into a service",
    files: {
      "services/orders/src/admission.ts": "export const admission = {};",
      "services/all-in-one/src/main.ts": 'export { admission } from "../../orders/src/admission.ts";',
    },
  },
  {
    rule: "source-imports-no-test",
    when: "source imports a test",
    files: {
      "services/orders/src/a.test.ts": "export const it = 1;",
      "services/orders/src/a.ts": 'export { it } from "./a.test.ts";',
    },
  },
  {
    rule: "source-imports-no-test",
    when: "source imports what tests share",
    files: { "services/orders/src/a.ts": 'export { silentLog } from "@shop/platform/testing";' },
  },
  {
    rule: "source-imports-no-test",
    when: "source imports the tests package",
    files: {
      "tests/e2e/journey.ts": "export const journey = {};",
      "tools/src/a.ts": 'export { journey } from "../../tests/e2e/journey.ts";',
    },
  },
  {
    rule: "source-imports-no-test",
    when: "source imports vitest",
    files: { "platform/src/a.ts": 'export { expect } from "vitest";' },
  },
  {
    rule: "product-imports-no-tool",
    when: "a service imports a tool",
    files: { "services/orders/src/a.ts": 'export { infra } from "@shop/tools/infra";' },
  },
  {
    rule: "infra-knows-no-shop",
    when: "tools/infra imports the platform",
    files: { "tools/src/infra/a.ts": 'export { DomainError } from "@shop/platform";' },
  },
  {
    rule: "infra-knows-no-shop",
    when: "tools/infra imports a service",
    files: { "tools/src/infra/a.ts": 'export { orders } from "@shop/orders";' },
  },
  {
    rule: "domain-imports-only-domain",
    when: "a rule imports a store's type",
    files: {
      "services/orders/src/store/order-store.ts": "export type OrderStore = object;",
      "services/orders/src/domain/a.ts":
        'import type { OrderStore } from "../store/order-store.ts"; export type A = OrderStore;',
    },
  },
  {
    rule: "domain-imports-only-domain",
    when: "a rule reads files",
    files: { "services/orders/src/domain/a.ts": 'export { readFileSync } from "node:fs";' },
  },
  {
    rule: "store-wire-clients-apart",
    when: "a store imports a message's shape",
    files: {
      "services/orders/src/wire/order.ts": "export const toMessage = {};",
      "services/orders/src/store/a.ts": 'export { toMessage } from "../wire/order.ts";',
    },
  },
  {
    rule: "store-wire-clients-apart",
    when: "wire imports a client",
    files: {
      "services/orders/src/clients/catalogue.ts": "export const offers = {};",
      "services/orders/src/wire/a.ts": 'export { offers } from "../clients/catalogue.ts";',
    },
  },
  {
    rule: "store-wire-clients-apart",
    when: "a client imports a document's type",
    files: {
      "services/orders/src/store/order-store.ts": "export type OrderDocument = object;",
      "services/orders/src/clients/a.ts": 'export type { OrderDocument } from "../store/order-store.ts";',
    },
  },
  {
    rule: "store-wire-clients-import-nothing-above",
    when: "a store imports the service's configuration",
    files: {
      "services/orders/src/config.ts": "export const ordersConfig = {};",
      "services/orders/src/store/a.ts": 'export { ordersConfig } from "../config.ts";',
    },
  },
  {
    rule: "store-wire-clients-import-nothing-above",
    when: "wire imports a slice",
    files: {
      "services/orders/src/rpc/create-order.ts": "export const createOrder = {};",
      "services/orders/src/wire/a.ts": 'export { createOrder } from "../rpc/create-order.ts";',
    },
  },
  {
    rule: "store-and-domain-know-no-proto",
    when: "a store imports a message",
    files: { "services/orders/src/store/a.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";' },
  },
  {
    rule: "store-and-domain-know-no-proto",
    when: "a store imports the protobuf library",
    files: { "services/orders/src/store/a.ts": 'export { toBinary } from "@bufbuild/protobuf";' },
  },
  {
    rule: "store-and-domain-know-no-proto",
    when: "a rule imports a message",
    files: { "services/orders/src/domain/a.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";' },
    alsoFires: ["domain-imports-only-domain"],
  },
  {
    rule: "slice-imports-no-slice",
    when: "an RPC imports another RPC",
    files: {
      "services/orders/src/rpc/a.ts": "export const a = {};",
      "services/orders/src/rpc/b.ts": 'export { a } from "./a.ts";',
    },
  },
  {
    rule: "slice-imports-no-slice",
    when: "an event's slice imports a job",
    files: {
      "services/orders/src/jobs/a.ts": "export const a = {};",
      "services/orders/src/events/b.ts": 'export { a } from "../jobs/a.ts";',
    },
  },
  {
    rule: "slice-imports-no-root",
    when: "a slice imports the type of the configuration",
    files: {
      "services/orders/src/config.ts": "export type OrdersConfig = object;",
      "services/orders/src/jobs/a.ts":
        'import type { OrdersConfig } from "../config.ts"; export type A = OrdersConfig;',
    },
  },
  {
    rule: "slice-imports-no-root",
    when: "a slice imports the composition root",
    files: { "services/orders/src/rpc/a.ts": 'export { orders } from "../service.ts";' },
  },
  {
    rule: "drivers-in-platform-and-store-only",
    when: "a slice imports the database driver",
    files: { "services/orders/src/rpc/a.ts": 'export { MongoClient } from "mongodb";' },
  },
  {
    rule: "drivers-in-platform-and-store-only",
    when: "a composition root imports a type of the bus driver",
    files: {
      "services/orders/src/service.ts":
        'import type { NatsConnection } from "@nats-io/transport-node"; export type A = NatsConnection;',
    },
  },
  {
    rule: "drivers-in-platform-and-store-only",
    when: "the gateway imports the cache driver",
    files: { "gateway/src/a.ts": 'export { createClient } from "redis";' },
  },
];

const allowed: Files = {
  "gen/src/shop/orders/v1/order_pb.ts": 'export type { Money } from "../../common/v1/money_pb.ts";',
  "client/src/shop.ts":
    'export { createClient } from "@connectrpc/connect"; export { createConnectTransport } from "@connectrpc/connect-web"; export { create } from "@bufbuild/protobuf"; export type { Money } from "@shop/gen/shop/common/v1/money_pb";',
  "client/src/shop.test.ts":
    'import { expect } from "vitest"; import { readFileSync } from "node:fs"; expect; readFileSync;',
  "tests/e2e/page.ts": 'export { createShop } from "@shop/client";',
  "platform/src/mongo/connect.ts": 'export { MongoClient } from "mongodb";',
  "platform/src/bus/bus.ts": 'export { connect } from "@nats-io/transport-node";',
  "platform/src/cache/cache.ts": 'export { createClient } from "redis";',
  "platform/src/money.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";',
  "platform/src/rpc/server.ts": 'export { fastify } from "fastify"; export * from "./rest/transcoder.ts";',
  "platform/src/rpc/rest/transcoder.ts": 'export { create } from "@bufbuild/protobuf";',
  "services/orders/src/config.ts": "export const ordersConfig = {};",
  "services/orders/src/service.ts":
    'export * from "./config.ts"; export * from "./rpc/create-order.ts"; export * from "./clients/catalogue.ts";',
  "services/orders/src/main.ts": 'export * from "./service.ts";',
  "services/orders/src/rpc/create-order.ts":
    'export * from "../domain/order.ts"; export * from "../store/order-store.ts"; export * from "../wire/order.ts";',
  "services/orders/src/domain/order.ts": 'export { DomainError } from "@shop/platform"; export * from "./errors.ts";',
  "services/orders/src/domain/errors.ts": "export const orderNotFound = {};",
  "services/orders/src/domain/order.test.ts": 'import { expect } from "vitest"; expect;',
  "services/orders/src/store/order-store.ts":
    'export { MongoClient } from "mongodb"; export * from "../domain/order.ts";',
  "services/orders/src/wire/order.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";',
  "services/orders/src/clients/catalogue.ts": 'export * from "../domain/errors.ts";',
  "services/orders/src/orders.integration.test.ts":
    'import { silentLog } from "@shop/platform/testing"; import { MongoClient } from "mongodb"; silentLog; MongoClient;',
  "services/all-in-one/src/main.ts":
    'export * from "@shop/orders"; export * from "@shop/users"; export * from "@shop/gateway"; export * from "@shop/platform";',
  "tools/src/seed.ts": 'export { DomainError } from "@shop/platform"; export { MongoClient } from "mongodb";',
  "tests/e2e/journey.test.ts": 'import { infra } from "@shop/tools/infra"; infra;',
  "tests/architecture/rules.test.ts": 'import { DomainError } from "../../platform/src/errors.ts"; DomainError;',
};

describe("every import rule turns red on a planted violation", () => {
  test.each(planted)("$rule: $when", async ({ rule, files, alsoFires = [] }) => {
    const { forbidden } = await checkImports(plantRepository(files));
    expect(new Set(forbidden.map((found) => found.rule))).toEqual(new Set([rule, ...alsoFires]));
  });

  test("no rule is without one", async () => {
    const { forbidden } = await importRules();
    expect(new Set(planted.map(({ rule }) => rule))).toEqual(new Set(forbidden.map(({ name }) => name)));
  });

  test("the imports that the design wants are allowed", async () => {
    const { forbidden, modules } = await checkImports(plantRepository(allowed));
    expect(forbidden).toEqual([]);
    expect(modules).toEqual(expect.arrayContaining(Object.keys(allowed)));
  });
});

test("nothing in the repository breaks an import rule", async () => {
  const { forbidden, modules } = await checkImports(repositoryRoot);
  expect(modules.length).toBeGreaterThan(100);
  expect(modules).toContain("services/all-in-one/src/main.ts");
  expect(forbidden).toEqual([]);
});
