import { describe, expect, test, vi } from "vitest";
import { checkImports, importRules } from "../../tools/src/check-import-rules.ts";
import { repositoryRoot } from "../../tools/src/repository-root.ts";
import { type Files, plantRepository } from "./planted-repository.ts";

// The first run loads the TypeScript compiler.
vi.setConfig({ testTimeout: 60_000 });

/** A violation, and the rules that must report it: by default only the one of the same name. */
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
      "platform/core/src/a.ts": 'import { b } from "./b.ts"; export const a = b;',
      "platform/core/src/b.ts": 'import { a } from "./a.ts"; export const b = () => a;',
    },
  },
  {
    rule: "no-cycles",
    when: "two modules import each other's types",
    files: {
      "platform/core/src/a.ts": 'import type { B } from "./b.ts"; export type A = B | 1;',
      "platform/core/src/b.ts": 'import type { A } from "./a.ts"; export type B = A | 2;',
    },
  },
  {
    rule: "everything-resolves",
    when: "an import does not resolve",
    files: { "platform/core/src/a.ts": 'export * from "./nowhere.ts";' },
  },
  {
    rule: "gen-imports-nothing-of-ours",
    when: "generated code imports the platform",
    files: { "gen/src/shop/orders/v1/order_pb.ts": 'export { DomainError } from "@shop/core";' },
  },
  {
    rule: "client-runs-anywhere",
    when: "the client imports the platform",
    files: { "client/src/a.ts": 'export { DomainError } from "@shop/core";' },
  },
  {
    rule: "client-runs-anywhere",
    when: "the client imports a module of Node",
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
    files: { "services/orders/src/rpc/a.ts": 'export { createShop } from "@shop/client";' },
  },
  {
    rule: "platform-imports-no-business",
    when: "the platform imports a service",
    files: { "platform/runtime/src/a.ts": 'export { orders } from "@shop/orders";' },
  },
  {
    rule: "platform-imports-no-business",
    when: "a test of the platform imports the gateway",
    files: { "platform/core/src/a.test.ts": 'import { gateway } from "@shop/gateway"; gateway;' },
  },
  {
    rule: "platform-knows-common-messages-only",
    when: "the platform imports the type of an order's event",
    files: { "platform/core/src/a.ts": 'export type { OrderPlaced } from "@shop/gen/shop/orders/v1/events_pb";' },
  },
  {
    rule: "packages-through-their-exports",
    when: "the platform imports an internal file of http-port",
    files: {
      "platform/http-port/src/close-stream.ts": "export const closeStream = 1;",
      "platform/rpc-server/src/a.ts": 'export { closeStream } from "../../http-port/src/close-stream.ts";',
    },
  },
  ...[
    "core",
    "money",
    "http-port",
    "rest",
    "rpc-server",
    "proxy",
    "auth",
    "openapi",
    "mongo",
    "cache",
    "messaging",
  ].map((name) => ({
    rule: `${name}-imports-downward`,
    when: `${name} imports runtime`,
    files: { [`platform/${name}/src/a.ts`]: 'export { run } from "@shop/runtime";' },
  })),
  {
    rule: "rest-imports-downward",
    when: "rest imports rpc-server",
    files: { "platform/rest/src/a.ts": 'export { listen } from "@shop/rpc-server";' },
  },
  {
    rule: "contracts-of-the-edge-are-public",
    when: "rest imports a message of the shop",
    files: { "platform/rest/src/a.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";' },
  },
  {
    rule: "edge-knows-no-store",
    when: "rpc-server imports a database driver",
    files: { "platform/rpc-server/src/a.ts": 'export type { Db } from "mongodb";' },
  },
  {
    rule: "rest-knows-no-framework",
    when: "rest imports a type of Fastify",
    files: { "platform/rest/src/a.ts": 'export type { FastifyReply } from "fastify";' },
  },
  {
    rule: "gateway-imports-no-service",
    when: "the gateway imports a service",
    files: { "gateway/src/a.ts": 'export { orders } from "@shop/orders";' },
  },
  {
    rule: "topology-is-data",
    when: "the topology imports a service",
    files: { "services/topology/src/a.ts": 'export { orders } from "@shop/orders";' },
    alsoFires: ["service-imports-no-service"],
  },
  {
    rule: "service-imports-no-service",
    when: "a service imports another",
    files: { "services/orders/src/rpc/a.ts": 'export { inventory } from "@shop/inventory";' },
  },
  {
    rule: "service-imports-no-service",
    when: "a service imports all-in-one",
    files: {
      "services/all-in-one/src/service.ts": "export const everything = {};",
      "services/orders/src/rpc/a.ts": 'export { everything } from "../../../all-in-one/src/service.ts";',
    },
  },
  {
    rule: "service-imports-no-gateway",
    when: "a service imports the gateway",
    files: { "services/orders/src/rpc/a.ts": 'export { gateway } from "@shop/gateway";' },
  },
  {
    rule: "packages-through-their-exports",
    when: "a service imports an internal file of the platform",
    files: {
      "platform/mongo/src/lease.ts": "export const lease = {};",
      "services/orders/src/rpc/a.ts": 'export { lease } from "../../../../platform/mongo/src/lease.ts";',
    },
  },
  {
    rule: "packages-through-their-exports",
    when: "all-in-one imports an internal file of a service",
    files: {
      "services/orders/src/application/admission.ts": "export const admission = {};",
      "services/all-in-one/src/main.ts": 'export { admission } from "../../orders/src/application/admission.ts";',
    },
  },
  {
    rule: "source-imports-no-test",
    when: "source imports a test",
    files: {
      "services/orders/src/application/a.test.ts": "export const it = 1;",
      "services/orders/src/application/a.ts": 'export { it } from "./a.test.ts";',
    },
  },
  {
    rule: "source-imports-no-test",
    when: "source imports a testing entry",
    files: { "services/orders/src/rpc/a.ts": 'export { silentLog } from "@shop/runtime/testing";' },
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
    when: "source imports its contract",
    files: {
      "services/orders/contract/orders.ts": "export const contract = {};",
      "services/orders/src/service.ts": 'export { contract } from "../contract/orders.ts";',
    },
  },
  {
    rule: "source-imports-no-test",
    when: "source imports vitest",
    files: { "platform/core/src/a.ts": 'export { expect } from "vitest";' },
  },
  {
    rule: "product-imports-no-tool",
    when: "a service imports a tool",
    files: { "services/orders/src/rpc/a.ts": 'export { infra } from "@shop/tools/infra";' },
  },
  {
    rule: "infra-knows-no-shop",
    when: "tools/infra imports the platform",
    files: { "tools/src/infra/a.ts": 'export { DomainError } from "@shop/core";' },
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
      "services/orders/src/adapters/mongo/order-store.ts": "export type OrderStore = object;",
      "services/orders/src/domain/a.ts":
        'import type { OrderStore } from "../adapters/mongo/order-store.ts"; export type A = OrderStore;',
    },
  },
  {
    rule: "domain-imports-only-domain",
    when: "a rule reads files",
    files: { "services/orders/src/domain/a.ts": 'export { readFileSync } from "node:fs";' },
  },
  {
    rule: "adapters-apart",
    when: "a store imports a message's shape",
    files: {
      "services/orders/src/adapters/proto/order.ts": "export const toMessage = {};",
      "services/orders/src/adapters/mongo/a.ts": 'export { toMessage } from "../proto/order.ts";',
    },
  },
  {
    rule: "adapters-apart",
    when: "a message conversion imports a client",
    files: {
      "services/orders/src/adapters/clients/catalogue.ts": "export const offers = {};",
      "services/orders/src/adapters/proto/a.ts": 'export { offers } from "../clients/catalogue.ts";',
    },
  },
  {
    rule: "adapters-apart",
    when: "a client imports a document's type",
    files: {
      "services/orders/src/adapters/mongo/order-store.ts": "export type OrderDocument = object;",
      "services/orders/src/adapters/clients/a.ts": 'export type { OrderDocument } from "../mongo/order-store.ts";',
    },
  },
  {
    rule: "adapters-import-nothing-above",
    when: "a store imports the service's configuration",
    files: {
      "services/orders/src/config.ts": "export const ordersConfig = {};",
      "services/orders/src/adapters/mongo/a.ts": 'export { ordersConfig } from "../../config.ts";',
    },
  },
  {
    rule: "adapters-import-nothing-above",
    when: "a message conversion imports an RPC",
    files: {
      "services/orders/src/rpc/create-order.ts": "export const createOrder = {};",
      "services/orders/src/adapters/proto/a.ts": 'export { createOrder } from "../../rpc/create-order.ts";',
    },
  },
  {
    rule: "storage-and-domain-know-no-proto",
    when: "a store imports a message",
    files: {
      "services/orders/src/adapters/mongo/a.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";',
    },
  },
  {
    rule: "storage-and-domain-know-no-proto",
    when: "a store imports the protobuf library",
    files: { "services/orders/src/adapters/mongo/a.ts": 'export { toBinary } from "@bufbuild/protobuf";' },
  },
  {
    rule: "storage-and-domain-know-no-proto",
    when: "a rule imports a message",
    files: { "services/orders/src/domain/a.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";' },
    alsoFires: ["domain-imports-only-domain"],
  },
  {
    rule: "entry-points-apart",
    when: "an RPC imports another RPC",
    files: {
      "services/orders/src/rpc/a.ts": "export const a = {};",
      "services/orders/src/rpc/b.ts": 'export { a } from "./a.ts";',
    },
  },
  {
    rule: "entry-points-apart",
    when: "an event imports a job",
    files: {
      "services/orders/src/jobs/a.ts": "export const a = {};",
      "services/orders/src/events/b.ts": 'export { a } from "../jobs/a.ts";',
    },
  },
  {
    rule: "layers-import-no-root",
    when: "an RPC imports the type of the configuration",
    files: {
      "services/orders/src/config.ts": "export type OrdersConfig = object;",
      "services/orders/src/jobs/a.ts":
        'import type { OrdersConfig } from "../config.ts"; export type A = OrdersConfig;',
    },
  },
  {
    rule: "layers-import-no-root",
    when: "an RPC imports the composition root",
    files: { "services/orders/src/rpc/a.ts": 'export { orders } from "../service.ts";' },
  },
  {
    rule: "service-files-have-a-layer",
    when: "a file is outside of the layers",
    files: {
      "services/orders/src/loose.ts": "export const loose = {};",
      "services/orders/src/rpc/a.ts": 'export { loose } from "../loose.ts";',
    },
  },
  {
    rule: "service-files-have-a-layer",
    when: "a file is in a folder that is not a layer",
    files: {
      "services/orders/src/helpers/loose.ts": "export const loose = {};",
      "services/orders/src/service.ts": 'export { loose } from "./helpers/loose.ts";',
    },
  },
  {
    rule: "service-files-have-a-layer",
    when: "a file is directly in adapters/",
    files: {
      "services/orders/src/adapters/loose.ts": "export const loose = {};",
      "services/orders/src/service.ts": 'export { loose } from "./adapters/loose.ts";',
    },
  },
  {
    rule: "adapters-import-nothing-above",
    when: "a store imports the type of a use case",
    files: {
      "services/orders/src/application/admission.ts": "export type Admission = object;",
      "services/orders/src/adapters/mongo/a.ts": 'export type { Admission } from "../../application/admission.ts";',
    },
  },
  {
    rule: "ports-know-the-domain-only",
    when: "a port names a document of the database",
    files: {
      "services/orders/src/adapters/mongo/order-store.ts": "export type OrderDocument = object;",
      "services/orders/src/application/ports/a.ts":
        'export type { OrderDocument } from "../../adapters/mongo/order-store.ts";',
    },
  },
  {
    rule: "ports-know-the-domain-only",
    when: "a port names a message",
    files: {
      "services/orders/src/application/ports/a.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";',
    },
  },
  {
    rule: "adapters-are-handed-over",
    when: "an RPC imports the type of a document",
    files: {
      "services/orders/src/adapters/mongo/order-store.ts": "export type OrderDocument = object;",
      "services/orders/src/rpc/a.ts": 'export type { OrderDocument } from "../adapters/mongo/order-store.ts";',
    },
  },
  {
    rule: "adapters-are-handed-over",
    when: "a use case imports a client",
    files: {
      "services/orders/src/adapters/clients/catalogue.ts": "export const createCatalogue = {};",
      "services/orders/src/application/a.ts": 'export { createCatalogue } from "../adapters/clients/catalogue.ts";',
    },
  },
  {
    rule: "adapters-are-handed-over",
    when: "a use case imports a password hash",
    files: {
      "services/users/src/adapters/crypto/passwords.ts": "export const createPasswords = {};",
      "services/users/src/application/a.ts": 'export { createPasswords } from "../adapters/crypto/passwords.ts";',
    },
  },
  {
    rule: "storage-and-domain-know-no-proto",
    when: "a crypto adapter imports a message",
    files: {
      "services/users/src/adapters/crypto/a.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";',
    },
  },
  {
    rule: "application-imports-no-entry-point",
    when: "a use case imports an RPC",
    files: {
      "services/orders/src/rpc/b.ts": "export const b = {};",
      "services/orders/src/application/a.ts": 'export { b } from "../rpc/b.ts";',
    },
  },
  {
    rule: "application-imports-no-entry-point",
    when: "a use case imports the type of a job",
    files: {
      "services/orders/src/jobs/b.ts": "export type B = object;",
      "services/orders/src/application/a.ts": 'export type { B } from "../jobs/b.ts";',
    },
  },
  {
    rule: "layers-import-no-root",
    when: "a use case imports the type of the configuration",
    files: {
      "services/orders/src/config.ts": "export type OrdersConfig = object;",
      "services/orders/src/application/a.ts": 'export type { OrdersConfig } from "../config.ts";',
    },
  },
  {
    rule: "config-stands-alone",
    when: "the configuration imports a use case",
    files: {
      "services/orders/src/application/admission.ts": "export const admission = {};",
      "services/orders/src/config.ts": 'export { admission } from "./application/admission.ts";',
    },
  },
  {
    rule: "tracing-is-loaded-on-demand",
    when: "the runtime imports the SDK for traces at its start",
    files: { "platform/runtime/src/a.ts": 'export { TracerProvider } from "@opentelemetry/sdk-trace";' },
  },
  {
    rule: "drivers-in-platform-and-adapters-only",
    when: "a client of another service imports the database driver",
    files: { "services/orders/src/adapters/clients/a.ts": 'export { MongoClient } from "mongodb";' },
  },
  {
    rule: "drivers-in-platform-and-adapters-only",
    when: "a use case imports the database driver",
    files: { "services/orders/src/application/a.ts": 'export { MongoClient } from "mongodb";' },
  },
  {
    rule: "drivers-in-platform-and-adapters-only",
    when: "an RPC imports the database driver",
    files: { "services/orders/src/rpc/a.ts": 'export { MongoClient } from "mongodb";' },
  },
  {
    rule: "drivers-in-platform-and-adapters-only",
    when: "a composition root imports a type of the bus driver",
    files: {
      "services/orders/src/service.ts":
        'import type { NatsConnection } from "@nats-io/transport-node"; export type A = NatsConnection;',
    },
  },
  {
    rule: "drivers-in-platform-and-adapters-only",
    when: "the gateway imports the cache driver",
    files: { "gateway/src/a.ts": 'export { createClient } from "@redis/client";' },
  },
];

const allowed: Files = {
  "gen/src/shop/orders/v1/order_pb.ts": 'export type { Money } from "../../common/v1/money_pb.ts";',
  "client/src/shop.ts":
    'export { createClient } from "@connectrpc/connect"; export { createConnectTransport } from "@connectrpc/connect-web"; export { create } from "@bufbuild/protobuf"; export type { Money } from "@shop/gen/shop/common/v1/money_pb";',
  "client/src/shop.test.ts":
    'import { expect } from "vitest"; import { readFileSync } from "node:fs"; expect; readFileSync;',
  "tests/e2e/page.ts": 'export { createShop } from "@shop/client";',
  "platform/mongo/src/connect.ts": 'export { MongoClient } from "mongodb";',
  "platform/messaging/src/bus/bus.ts": 'export { connect } from "@nats-io/transport-node";',
  "platform/cache/src/cache.ts": 'export { createClient } from "@redis/client";',
  "platform/money/src/money.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";',
  "platform/rpc-server/src/server.ts": 'export { fastify } from "fastify"; export * from "@shop/rest";',
  "platform/rest/src/transcoder.ts":
    'export { create } from "@bufbuild/protobuf"; export { closeStream } from "@shop/http-port";',
  "services/orders/src/config.ts": 'import { services } from "@shop/topology"; export const ordersConfig = services;',
  "gateway/src/config.ts": 'export { services } from "@shop/topology";',
  "services/orders/src/service.ts":
    'export * from "./config.ts"; export * from "./rpc/create-order.ts"; export * from "./adapters/clients/catalogue.ts";',
  "services/orders/src/main.ts": 'export * from "./service.ts";',
  "services/orders/src/rpc/create-order.ts":
    'import type { OrderStore } from "../application/ports/order-store.ts"; export * from "../domain/order.ts"; export * from "../application/change-order.ts"; export * from "../adapters/proto/order.ts"; export * from "../adapters/http/cookie.ts"; export type A = OrderStore;',
  "services/orders/src/application/change-order.ts":
    'export type { OrderStore } from "./ports/order-store.ts"; export * from "../adapters/proto/order.ts"; export * from "../domain/order.ts";',
  "services/orders/src/application/ports/order-store.ts":
    'import type { DomainError } from "@shop/core"; export * from "../../domain/order.ts"; export type OrderStore = DomainError;',
  "services/orders/src/adapters/http/cookie.ts": 'export { createHash } from "node:crypto";',
  "services/orders/src/testing/open-test-orders.ts":
    'export { silentLog } from "@shop/runtime/testing"; export * from "../adapters/mongo/order-store.ts";',
  "services/orders/src/domain/order.ts": 'export { DomainError } from "@shop/core"; export * from "./errors.ts";',
  "services/orders/src/domain/errors.ts": "export const orderNotFound = {};",
  "services/orders/src/domain/order.test.ts": 'import { expect } from "vitest"; expect;',
  "services/orders/src/adapters/mongo/order-store.ts":
    'export { MongoClient } from "mongodb"; export * from "../../domain/order.ts"; export type { OrderStore } from "../../application/ports/order-store.ts";',
  "services/orders/src/adapters/proto/order.ts": 'export type { Money } from "@shop/gen/shop/common/v1/money_pb";',
  "services/orders/src/adapters/clients/catalogue.ts": 'export * from "../../domain/errors.ts";',
  "services/orders/src/rpc/orders.integration.test.ts":
    'import { silentLog } from "@shop/runtime/testing"; import { MongoClient } from "mongodb"; silentLog; MongoClient;',
  "services/all-in-one/src/main.ts":
    'export * from "@shop/orders"; export * from "@shop/users"; export * from "@shop/gateway"; export * from "@shop/runtime";',
  "tools/src/seed.ts": 'export { DomainError } from "@shop/core"; export { MongoClient } from "mongodb";',
  "tests/e2e/journey.test.ts": 'import { infra } from "@shop/tools/infra"; infra;',
  "tests/architecture/rules.test.ts": 'import { DomainError } from "../../platform/core/src/index.ts"; DomainError;',
};

describe("every import rule reports a planted violation", () => {
  test.each(planted)("$rule: $when", async ({ rule, files, alsoFires = [] }) => {
    const { forbidden } = await checkImports(plantRepository(files));
    expect(new Set(forbidden.map((found) => found.rule))).toEqual(new Set([rule, ...alsoFires]));
  });

  test("every rule has a planted violation", async () => {
    const { forbidden } = await importRules();
    expect(new Set(planted.map(({ rule }) => rule))).toEqual(new Set(forbidden.map(({ name }) => name)));
  });

  test("the imports of the design are allowed", async () => {
    const { forbidden, modules } = await checkImports(plantRepository(allowed));
    expect(forbidden).toEqual([]);
    expect(modules).toEqual(expect.arrayContaining(Object.keys(allowed)));
  });
});

test("no import in the repository breaks a rule", async () => {
  const { forbidden, modules } = await checkImports(repositoryRoot);
  expect(modules.length).toBeGreaterThan(100);
  expect(modules).toContain("services/all-in-one/src/main.ts");
  expect(forbidden).toEqual([]);
});
