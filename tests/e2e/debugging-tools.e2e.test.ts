import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { serviceKeyFiles } from "@shop/tools/service-keys";
import { allServices } from "@shop/topology/contracts";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { runGrpcurl as ask, describeGrpcurl, output } from "../setup/grpcurl.ts";
import { ownEnvironment } from "../setup/own-environment.ts";
import { urlsOf } from "../setup/shop.ts";
import { type Account, addProduct, shop, signInAdmin, signUp } from "./shopping.ts";

const repositoryRoot = join(import.meta.dirname, "../..");
const buf = join(repositoryRoot, "node_modules/.bin/buf");
const inventory = "shop.inventory.v1.InventoryService";
const orders = "shop.orders.v1.OrderService";
const internal = ["BatchGetReservations", "DecideOrders", "ListReservations"];

let productId: string;
let buyer: Account;
beforeAll(async () => {
  [{ productId }, buyer] = await Promise.all([
    signInAdmin().then((admin) => addProduct(admin, { stock: 3 })),
    signUp(),
  ]);
});

describeGrpcurl("grpcurl, with no schema but the public port's reflection,", () => {
  const address = new URL(shop.url).host;

  test("lists the services and their public methods", async () => {
    expect((await ask(address, "list")).split("\n")).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      ...allServices.map(({ typeName }) => typeName).toSorted(),
    ]);
    const methods = (await ask(address, "list", inventory)).split("\n");
    expect(methods).toContain(`${inventory}.WatchStock`);
    for (const method of internal) expect(methods).not.toContain(`${inventory}.${method}`);
  });

  test("describes services, with access and routes, and messages, but not those of internal methods", async () => {
    const described = await ask(address, "describe", orders);
    expect(described).toContain("rpc WatchOrder ( .shop.orders.v1.WatchOrderRequest )");
    expect(described).toContain('get: "/orders/{order_id}:watch"');
    expect(described).toContain("option (.shop.common.v1.access) = ACCESS_AUTHENTICATED;");
    expect(await ask(address, "describe", "shop.inventory.v1.Product")).toContain("string product_id = 1");
    for (const method of internal) {
      for (const name of [`${inventory}.${method}`, `shop.inventory.v1.${method}Request`])
        await expect(ask(address, "describe", name)).rejects.toThrow("not found");
    }
  });

  test("calls a method and a stream", async () => {
    const request = JSON.stringify({ product_id: productId });
    const { product } = JSON.parse(await ask("-d", request, address, `${inventory}/GetProductByID`));
    expect(product).toMatchObject({ productId });
    const watched = ask("-max-time", "2", "-d", request, address, `${inventory}/WatchStock`);
    const { stdout } = await watched.then(
      () => Promise.reject(new Error("the watch ended")),
      (error: { stdout: string }) => error,
    );
    expect(JSON.parse(stdout)).toMatchObject({ stock: { available: 3 } });
  });

  test("gets errors with details that it can decode", async () => {
    const authorization = `authorization: ${buyer.headers.authorization}`;
    const refused = (request: object) =>
      ask("-H", authorization, "-d", JSON.stringify(request), address, `${orders}/CreateOrder`).catch(
        ({ stderr }: { stderr: string }) => stderr,
      );
    const invalid = await refused({ items: [{ product_id: productId, quantity: -1 }] });
    expect(invalid).toContain("Code: InvalidArgument");
    expect(invalid).toMatch(/"field": "items\[0\]\.quantity"/);
    expect(await ask(address, `${orders}/ListOrders`).catch(({ stderr }) => stderr)).toMatch(/"reason": "[A-Z_]+"/);
  });

  test("checks the health of the port and of a service", async () => {
    expect(JSON.parse(await ask(address, "grpc.health.v1.Health/Check"))).toEqual({ status: "SERVING" });
    const check = (service: string) =>
      ask("-d", JSON.stringify({ service }), address, "grpc.health.v1.Health/Check").then(JSON.parse);
    expect(await check(orders)).toEqual({ status: "SERVING" });
    await expect(check("shop.orders.v1.Nothing")).rejects.toThrow("NotFound");
  });

  test("cannot call an internal method, even with its contract", async () => {
    const folders = ["proto", "vendor/proto"].flatMap((folder) => ["-import-path", join(repositoryRoot, folder)]);
    const contract = [...folders, "-proto", "shop/inventory/v1/inventory_service.proto"];
    for (const method of internal)
      await expect(ask(...contract, address, `${inventory}/${method}`)).rejects.toThrow("Code: Unimplemented");
  });

  test("gets no schema from a port whose reflection is off, but can still call", async () => {
    const port = await startGateway({ REFLECTION: "false" });
    await expect(ask(`127.0.0.1:${port}`, "list")).rejects.toThrow("does not support the reflection API");
    const products = await fetch(`http://127.0.0.1:${port}/products?page_size=1`);
    expect(products.status).toBe(200);
  });
});

describe.each(["connect", "grpc", "grpcweb"])(
  "buf curl, with no schema but the public port's reflection, over %s",
  (protocol) => {
    const curl = (method: string, request: object, ...args: readonly string[]) =>
      output(
        buf,
        ...["curl", "--protocol", protocol, "--http2-prior-knowledge", ...args],
        ...["-d", JSON.stringify(request), `${shop.url}/${method}`],
      );

    test("calls a method, and gets the reason of an error", async () => {
      expect(JSON.parse(await curl(`${inventory}/GetProductByID`, { productId }))).toMatchObject({
        product: { productId },
      });
      const authorization = ["-H", `authorization: ${buyer.headers.authorization}`];
      const invalid = curl(`${orders}/CreateOrder`, { items: [{ productId, quantity: -1 }] }, ...authorization);
      const { stderr } = await invalid.then(
        () => Promise.reject(new Error("it was not refused")),
        (error: { stderr: string }) => error,
      );
      expect(stderr).toContain("invalid_argument");
      expect(stderr).toContain("items[0].quantity");
    });

    test("reads a stream", async () => {
      const child = spawn(buf, [
        ...["curl", "--protocol", protocol, "--http2-prior-knowledge"],
        ...["-d", JSON.stringify({ productId }), `${shop.url}/${inventory}/WatchStock`],
      ]);
      onTestFinished(() => void child.kill("SIGKILL"));
      let output = "";
      for await (const chunk of child.stdout) {
        output += chunk;
        if (output.includes("}\n}")) break;
      }
      expect(JSON.parse(output)).toMatchObject({ stock: { available: 3 } });
    });

    test("does not find an internal method", async () => {
      await expect(curl(`${inventory}/ListReservations`, {})).rejects.toThrow("contains no such method");
    });
  },
);

/** Another gateway in front of this shop's services, on its own port. */
async function startGateway(variables: Readonly<Record<string, string>>): Promise<number> {
  const keys = serviceKeyFiles(shop.dataDir);
  const child = spawn(process.execPath, ["gateway/src/main.ts"], {
    cwd: repositoryRoot,
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...ownEnvironment(),
      GATEWAY_PORT: "0",
      ...urlsOf(shop),
      SERVICE_KEY_FILES: keys.privateFile("gateway"),
      PUBLIC_KEYS_FILE: keys.publicFile,
      ...variables,
    },
  });
  const exited = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await exited;
  });
  let said = "";
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    said += chunk;
    const ready = said.split("\n").find((line) => line.includes('"msg":"ready"'));
    if (ready !== undefined) return (JSON.parse(ready) as { ports: { gateway: number } }).ports.gateway;
  }
  throw new Error(`the gateway ended\n${said}`);
}
