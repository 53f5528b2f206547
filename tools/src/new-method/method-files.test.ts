import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../repository-root.ts";
import {
  addToContract,
  addToProto,
  addToReadme,
  addToService,
  fileName,
  implementation,
  implementationTest,
  type NewMethod,
} from "./method-files.ts";

const share: NewMethod = {
  folder: "orders",
  service: "OrderService",
  package: "shop.orders.v1",
  module: "shop/orders/v1/order_service_pb",
  name: "ShareOrder",
  verb: "POST",
  path: "/orders/{order_id}:share",
  access: "AUTHENTICATED",
};
const read = (file: string) => readFileSync(join(repositoryRoot, file), "utf8");
/** The lines of the edited text that the file does not have. */
function added(file: string, edit: (text: string) => string): string {
  const before = read(file).split("\n");
  return edit(read(file))
    .split("\n")
    .filter((line) => !before.includes(line))
    .join("\n");
}

test("a method gets its access rule, messages with the fields of its path, and a place in the service", () => {
  const proto = addToProto(read("proto/shop/orders/v1/order_service.proto"), share);
  const service = proto.slice(proto.indexOf("service OrderService {"), proto.indexOf("\n}\n"));
  expect(service).toContain("rpc ShareOrder(ShareOrderRequest) returns (ShareOrderResponse) {");
  expect(service).toContain("option (shop.common.v1.access) = ACCESS_AUTHENTICATED;");
  expect(service).toMatch(/post: "\/orders\/\{order_id\}:share"\n\s+body: "\*"/);
  expect(service).not.toContain("message");
  expect(proto).toMatch(/\nmessage ShareOrderRequest \{\n[^}]*string order_id = 1 \[[^}]*\{1,64\}[^}]*\}\n/);
  expect(proto.endsWith("message ShareOrderResponse {}\n")).toBe(true);
});

test("a method that reads has no side effects and a GET", () => {
  const proto = addToProto(read("proto/shop/orders/v1/order_service.proto"), {
    ...share,
    verb: "GET",
    path: "/orders:count",
  });
  expect(proto).toContain(
    'option idempotency_level = NO_SIDE_EFFECTS;\n    option (google.api.http) = {get: "/orders:count"};',
  );
});

test("the contract, the service and its README get the method, each in its place", () => {
  expect(added("services/orders/contract/orders.ts", (text) => addToContract(text, share, 576))).toMatch(
    /^ {4}shareOrder: \{\n {6}rest: \(\{ order_id, \.\.\.body \}\) => .*`\/orders\/\$\{order_id\}:share`/,
  );
  expect(added("services/orders/src/service.ts", (text) => addToService(text, share)).split("\n")).toEqual([
    'import { shareOrder } from "./rpc/share-order.ts";',
    "shareOrder: shareOrder(),",
  ]);
  expect(added("services/orders/README.md", (text) => addToReadme(text, share))).toBe(
    "| `ShareOrder` | `POST /orders/{order_id}:share` | the signed-in user |",
  );
  expect(
    added("services/users/README.md", (text) => addToReadme(text, { ...share, service: "UserService" })),
  ).toContain("| `UserService.ShareOrder` |");
});

test("the method's files are named after it", () => {
  expect(fileName({ ...share, name: "GetOrderByID" })).toBe("get-order-by-id");
  expect(implementation(share)).toContain(
    "export function shareOrder(): MethodImpl<typeof OrderService.method.shareOrder>",
  );
  expect(implementationTest(share)).toContain('from "./share-order.ts"');
});

test("a file of an unexpected form is an error, not a guess", () => {
  expect(() => addToReadme("# Orders", share)).toThrow("has no table");
  expect(() => addToService("", share)).toThrow("no place matches");
  expect(() => addToContract("", share, 1)).toThrow("no place matches");
});
