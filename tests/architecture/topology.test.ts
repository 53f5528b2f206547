import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { DescMessage } from "@bufbuild/protobuf";
import {
  consumedBy,
  consumerOf,
  defaultPorts,
  metricsOffset,
  ownerOf,
  processNames,
  serviceNames,
  services,
} from "@shop/topology";
import { allContracts, publishedBy, servedBy } from "@shop/topology/contracts";
import { describe, expect, test } from "vitest";
import * as hosted from "../../services/all-in-one/src/service.ts";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

const modules = { ...hosted };

test("all-in-one hosts every service of the topology and the gateway, and nothing else", () => {
  expect(Object.keys(modules).toSorted()).toEqual(processNames.toSorted());
});

test("no two processes share a port or a metrics port", () => {
  expect(new Set(Object.values(defaultPorts)).size).toBe(processNames.length);
  expect(new Set(processNames.map(metricsOffset)).size).toBe(processNames.length);
});

test("the registry that decodes dead letters has every message of every service", async () => {
  const files = globSync("gen/src/shop/**/*_pb.ts", { cwd: repositoryRoot });
  const generated = await Promise.all(files.map((file) => import(pathToFileURL(join(repositoryRoot, file)).href)));
  const declared = generated.flatMap((module) => Object.values(module)).filter((value) => isMessage(value));
  expect(declared.length).toBeGreaterThan(100);
  for (const message of declared) expect(allContracts.getMessage(message.typeName), message.typeName).toBe(message);
});

const isMessage = (value: unknown): value is DescMessage => (value as DescMessage | undefined)?.kind === "message";

test("every proto service and every event belongs to exactly one service of the topology", () => {
  const events = ["shop.orders.v1.OrderPlaced", "shop.users.v1.UserDeleted", "shop.common.v1.AccessRevoked"].map(
    (typeName) => allContracts.getMessage(typeName)!,
  );
  for (const { typeName } of events)
    expect(publishedBy(ownerOf(typeName)).map((event) => event.typeName)).toContain(typeName);
  const declared = [...allContracts].filter(({ kind }) => kind === "service").map(({ typeName }) => typeName);
  expect(
    serviceNames
      .flatMap(servedBy)
      .map(({ typeName }) => typeName)
      .toSorted(),
  ).toEqual(declared.toSorted());
});

describe.for(serviceNames)("%s", (name) => {
  const { implements: implemented, publishes: published, ...module } = modules[name];

  test("is the module that the topology describes", () => {
    expect(module.name).toBe(name);
    expect(new Set(implemented.map(({ typeName }) => typeName))).toEqual(
      new Set(servedBy(name).map(({ typeName }) => typeName)),
    );
    const publishes = publishedBy(name).some(({ file }) => file.proto.package === `shop.${name}.v1`);
    expect(published).toBe(publishes ? `shop.${name}.v1` : undefined);
  });

  test("calls the services that the topology lists, and users for the keys of access tokens", () => {
    const called = new Set(module.upstreams({}).map((upstream) => upstream.name));
    const keys = name === "users" ? [] : ["users"];
    expect(called).toEqual(new Set([...keys, ...(services[name].calls ?? [])]));
  });

  test("consumes exactly the events that the topology lists, all of which exist", () => {
    const source = readFileSync(join(repositoryRoot, `services/${name}/src/service.ts`), "utf8");
    const consumed = [...source.matchAll(/consumerOf\("(\w+)", (\w+)Schema\)/g)].map(
      ([, by, event]) => `${by} ${event}`,
    );
    const listed = consumedBy(name).map(({ event }) => `${name} ${allContracts.getMessage(event)?.name}`);
    expect(consumed.toSorted()).toEqual(listed.toSorted());
    expect(source.match(/eventHandler\(\{/g)?.length ?? 0).toBe(consumed.length);
  });
});

test("a consumer that the topology does not list is an error at the start", () => {
  expect(consumerOf("orders", { typeName: "shop.users.v1.UserDeleted" })).toMatchObject({
    durable: "orders-user-deleted",
    stream: "users",
  });
  expect(() => consumerOf("users", { typeName: "shop.orders.v1.OrderPlaced" })).toThrow(
    "services/topology does not list shop.orders.v1.OrderPlaced in what users consumes",
  );
});
