import { globSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type DescFile, type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { http } from "@shop/gen/google/api/annotations_pb";
import type { HttpRule } from "@shop/gen/google/api/http_pb";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { describe, expect, test } from "vitest";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

/** Every method of every service in gen/src/shop, whoever implements it. */
async function allMethods(): Promise<DescMethod[]> {
  const modules = await Promise.all(
    globSync("gen/src/shop/**/*_pb.ts", { cwd: repositoryRoot }).map(
      (file) => import(pathToFileURL(join(repositoryRoot, file)).href) as Promise<Record<string, unknown>>,
    ),
  );
  return modules
    .flatMap((module) => Object.entries(module).filter(([name]) => name.startsWith("file_")))
    .flatMap(([, file]) => (file as DescFile).services)
    .flatMap((service) => service.methods);
}

/** The routes of a method, as `GET /products/{}`: what a variable is called does not tell two routes apart. */
function routesOf(rule: HttpRule): string[] {
  const { case: verb, value } = rule.pattern;
  const route =
    verb === undefined
      ? []
      : typeof value === "string"
        ? [`${verb.toUpperCase()} ${value.replaceAll(/\{[^}]*\}/g, "{}")}`]
        : [`${value?.kind} ${value?.path}`];
  return [...route, ...rule.additionalBindings.flatMap(routesOf)];
}

const methods = (await allMethods()).map((method) => ({
  name: `${method.parent.typeName}.${method.name}`,
  method,
  routes: hasOption(method, http) ? routesOf(getOption(method, http)) : [],
}));

test("the contracts are found", () => {
  expect(methods.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["shop.orders.v1.OrderService.CreateOrder", "shop.common.v1.TokenKeyService.ListTokenKeys"]),
  );
});

describe.each(methods)("$name", ({ method, routes }) => {
  test("declares who may call it", () => {
    expect(hasOption(method, access)).toBe(true);
    expect(getOption(method, access)).not.toBe(Access.UNSPECIFIED);
  });

  test("has a route", () => {
    expect(routes).not.toEqual([]);
    for (const route of routes) expect(route).toMatch(/^[A-Z]+ \/\S+$/);
  });

  test("is a GET exactly if it has no side effects", () => {
    const hasNone = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
    for (const route of routes) expect(route.startsWith("GET ")).toBe(hasNone);
  });
});

test("no route belongs to two methods", () => {
  const sharing = [
    ...Map.groupBy(
      methods.flatMap(({ name, routes }) => routes.map((route) => ({ name, route }))),
      ({ route }) => route,
    ),
  ]
    .filter(([, owners]) => owners.length > 1)
    .map(([route, owners]) => `${route}: ${owners.map(({ name }) => name).join(", ")}`);
  expect(sharing).toEqual([]);
});
