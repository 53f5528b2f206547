import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { expect, test } from "vitest";
import { forgotten } from "./check-methods.ts";

const file = "services/inventory/contract/inventory.ts";
const example = { step: 1, name: "works", summary: "Works", request: {}, answer: {} };
const described = { cases: [{ answers: () => ({}) }], examples: [example] };
const names = InventoryService.methods.map(({ localName }) => localName);

/** Complete surroundings, except for the planted gap. */
function around({ methods = {}, readme = (rows: string) => rows, tests = "importProducts" } = {}) {
  const whole = Object.fromEntries(names.map((name) => [name, described]));
  return {
    folder: "services/inventory",
    contracts: [{ file, service: InventoryService, methods: { ...whole, ...methods } }],
    readme: readme(InventoryService.methods.map(({ name }) => `| \`${name}\` | route | who |`).join("\n")),
    tests,
  };
}

test("complete methods have no finding", () => {
  expect(forgotten(InventoryService, around())).toEqual([]);
});

test.each([
  ["a contract", { methods: { listProducts: undefined } }, `${file}: listProducts is missing`],
  [
    "a test",
    { methods: { listProducts: { ...described, cases: [{}] } } },
    `${file}: listProducts has no case with "answers", so no test shows that it works`,
  ],
  [
    "an example",
    { methods: { listProducts: { ...described, examples: [] } } },
    `${file}: listProducts has no example for the documentation`,
  ],
  [
    "a row of the documentation",
    { readme: (rows: string) => rows.replace(/^.*`ListProducts`.*\n/m, "") },
    "services/inventory/README.md: the table of methods has no row | `ListProducts` | `GET /products` | who |",
  ],
  [
    "a test, though it streams requests",
    { tests: "" },
    "services/inventory/src/rpc/: no *.test.ts in services/inventory/src names importProducts",
  ],
])("a method without %s is reported, with the file and the missing part", (_, planted, finding) => {
  expect(forgotten(InventoryService, around(planted as Parameters<typeof around>[0]))).toEqual([finding]);
});

test("a method that is not on the public port needs no example", () => {
  const methods = { decideOrders: { ...described, examples: [] } };
  expect(forgotten(InventoryService, around({ methods }))).toEqual([]);
});

test("a service without a contract is reported for each method", () => {
  const lacking = forgotten(InventoryService, { ...around(), contracts: [] });
  expect(lacking).toHaveLength(names.length - 1);
  expect(lacking[0]).toContain(
    "services/inventory/contract/: no file has the contract of shop.inventory.v1.InventoryService",
  );
});
