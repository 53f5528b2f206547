import { once } from "node:events";
import * as http2 from "node:http2";
import { brotliCompressSync, gunzipSync, gzipSync } from "node:zlib";
import { create, type DescMethod, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { beforeAll, describe, expect, test } from "vitest";
import { shop, signInAdmin } from "../shopping.ts";

const maxErrorBytes = 16 * 1024;
const maxQuoted = 200;
/** More than any request may have. */
const aMegabyte = 1_000_000;

let headers: Record<string, string>;
beforeAll(async () => {
  headers = { ...(await signInAdmin()).headers };
});

/** A response: every byte of the body, and of the error in headers and trailers. */
interface Answer {
  readonly status: string;
  readonly bytes: number;
  readonly text: string;
}

const headerLines = (names: Iterable<readonly [string, string]>) =>
  [...names]
    .filter(([name]) => /^(grpc-|trailer|content-type|allow)/.test(name))
    .map(([name, value]) => `${name}${value}`);

async function overHttp1(path: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(`${shop.url}${path}`, { ...init, headers: { ...headers, ...init.headers } });
  const body = opened(Buffer.from(await response.arrayBuffer()), response.headers.get("content-type") ?? "");
  const said = headerLines(response.headers).join("");
  const status = /grpc-status: ?(\d+)/.exec(body.toString("latin1"))?.[1] ?? response.headers.get("grpc-status");
  return {
    status: status ?? (body[0] === 2 && body.includes('"error"') ? "error" : String(response.status)),
    bytes: body.byteLength + said.length,
    text: `${said}${body.toString("utf8")}`,
  };
}

/** The message in the response's one envelope may be compressed. */
function opened(body: Buffer, contentType: string): Buffer {
  const isEnveloped = /^application\/(grpc-web|connect\+)/.test(contentType) && body.byteLength > 5;
  if (!isEnveloped || (body[0]! & 1) === 0) return body;
  return Buffer.concat([Buffer.of(body[0]! & ~1), body.subarray(1, 5), gunzipSync(body.subarray(5))]);
}

async function overGrpc(path: string, message: Uint8Array, more: Record<string, string> = {}): Promise<Answer> {
  const session = http2.connect(shop.url);
  try {
    const stream = session.request({
      ...headers,
      ":method": "POST",
      ":path": path,
      te: "trailers",
      "content-type": "application/grpc+proto",
      ...more,
    });
    stream.on("error", () => {});
    const said: string[] = [];
    let status = "";
    for (const event of ["response", "trailers"])
      stream.on(event, (fields: Record<string, string>) => {
        status = fields["grpc-status"] ?? status;
        said.push(...headerLines(Object.entries(fields).map(([name, value]) => [name, String(value)] as const)));
      });
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.end(message);
    await once(stream, "close");
    const text = said.join("") + Buffer.concat(chunks).toString("utf8");
    return { status, bytes: Buffer.byteLength(text), text };
  } finally {
    session.close();
  }
}

const pathOf = (method: DescMethod) => `/${method.parent.typeName}/${method.name}`;
const enveloped = (message: Uint8Array, flags = 0) => new Uint8Array(encodeEnvelope(flags, message));
const post = (type: string, body: Uint8Array | string, more = {}): RequestInit => ({
  method: "POST",
  headers: { "content-type": type, ...more },
  body: body as Uint8Array<ArrayBuffer> | string,
});

interface Attack {
  readonly says: string;
  readonly method: DescMethod;
  readonly json: string;
  /** Undefined where only JSON can express it. */
  readonly binary?: Uint8Array;
  /** The REST path for the same body, if any. */
  readonly rest?: readonly [verb: string, path: string];
}

/** The protocols and encodings of an attack. */
function waysOf({ method, json, binary, rest }: Attack): Record<string, () => Promise<Answer>> {
  const path = pathOf(method);
  const text = Buffer.from(json);
  const isUnary = method.methodKind === "unary";
  const ways: Record<string, () => Promise<Answer>> = {};
  const http1 = (name: string, type: string, body: Uint8Array, more = {}) => {
    ways[name] = () => overHttp1(path, post(type, body, more));
  };
  if (isUnary) {
    http1("Connect, JSON", "application/json", text);
    http1("Connect, JSON, gzip", "application/json", gzipSync(text), { "content-encoding": "gzip" });
    http1("Connect, JSON, br", "application/json", brotliCompressSync(text), { "content-encoding": "br" });
  } else http1("Connect, JSON", "application/connect+json", enveloped(text));
  http1("gRPC-Web, JSON", "application/grpc-web+json", enveloped(text));
  http1("gRPC-Web, JSON, gzip", "application/grpc-web+json", enveloped(gzipSync(text), 1), { "grpc-encoding": "gzip" });
  if (binary !== undefined) {
    if (isUnary) http1("Connect, proto", "application/proto", binary);
    if (isUnary) http1("Connect, proto, gzip", "application/proto", gzipSync(binary), { "content-encoding": "gzip" });
    http1("gRPC-Web, proto", "application/grpc-web+proto", enveloped(binary));
    ways.gRPC = () => overGrpc(path, enveloped(binary));
    ways["gRPC, gzip"] = () => overGrpc(path, enveloped(gzipSync(binary), 1), { "grpc-encoding": "gzip" });
    ways["gRPC, br"] = () => overGrpc(path, enveloped(brotliCompressSync(binary), 1), { "grpc-encoding": "br" });
  }
  if (rest !== undefined) {
    const [verb, url] = rest;
    const send = (body: Uint8Array, more = {}) =>
      overHttp1(url, { ...post("application/json", body, more), method: verb });
    ways.REST = () => send(text);
    ways["REST, gzip"] = () => send(gzipSync(text), { "content-encoding": "gzip" });
  }
  return ways;
}

/** Expects an error of at most 16 KiB that repeats at most 200 characters of the request. */
function expectCheap({ status, bytes, text }: Answer): void {
  expect(status).not.toMatch(/^(0|2\d\d)?$/);
  expect(bytes, text.slice(0, 500)).toBeLessThanOrEqual(maxErrorBytes);
  // The repeated characters of the attacks.
  expect(text).not.toMatch(new RegExp(`(9|é|%C3%A9|%c3%a9|zq){${maxQuoted + 1}}`));
}

function times(count: number, write: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  for (let index = 0; index < count; index++) write(writer);
  return writer.finish();
}

const listOf = (count: number, item: string) => `[${Array.from({ length: count }, () => item).join(",")}]`;
const { createProduct, updateProduct, batchGetProducts, getProductByID, listProducts, watchStock } =
  InventoryService.method;
const { createOrder } = OrderService.method;
const { register, updateUserProfile, setRoles } = UserService.method;
const empty = new Uint8Array();
const product = "/products/product_01h455vb4pex5vsknk084sn02q";
const nines = "9".repeat(900_000);
const keys = (count: number) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, at) => [`K${at}`, ""])));

const attacks: readonly Attack[] = [
  {
    says: "40 KB of empty items",
    method: createOrder,
    json: `{"items":${listOf(13_000, "{}")}}`,
    binary: times(20_000, (to) => to.tag(1, WireType.LengthDelimited).bytes(empty)),
    rest: ["POST", "/orders"],
  },
  {
    says: "a megabyte of empty items",
    method: createOrder,
    json: `{"items":${listOf(aMegabyte / 3, "{}")}}`,
    binary: times(aMegabyte / 2, (to) => to.tag(1, WireType.LengthDelimited).bytes(empty)),
    rest: ["POST", "/orders"],
  },
  {
    says: "items with two violations each",
    method: createOrder,
    json: `{"items":${listOf(100, '{"product_id":"zqzq","quantity":-1}')}}`,
    binary: toBinary(
      createOrder.input,
      create(createOrder.input, { items: Array.from({ length: 100 }, () => ({ productId: "zqzq", quantity: -1 })) }),
    ),
    rest: ["POST", "/orders"],
  },
  {
    says: "500,000 empty ids",
    method: batchGetProducts,
    json: `{"product_ids":${listOf(aMegabyte / 3, '""')}}`,
    binary: times(aMegabyte / 2, (to) => to.tag(1, WireType.LengthDelimited).bytes(empty)),
  },
  {
    says: "a read mask of 500,000 paths",
    method: batchGetProducts,
    json: `{"product_ids":["a"],"read_mask":"${"a,".repeat(aMegabyte / 2)}a"}`,
    binary: maskOf(2, aMegabyte / 3),
  },
  {
    says: "a read mask of as many paths as a small body has",
    method: batchGetProducts,
    json: `{"product_ids":["a"],"read_mask":"${"a,".repeat(30_000)}a"}`,
    binary: maskOf(2, 20_000),
  },
  {
    says: "a read mask of one long path",
    method: batchGetProducts,
    json: `{"product_ids":["a"],"read_mask":"${"é".repeat(20_000)}"}`,
  },
  {
    says: "an update mask of 20,000 paths",
    method: updateProduct,
    json: `{"product":{"product_id":"product_01h455vb4pex5vsknk084sn02q"},"update_mask":"${"zq,".repeat(20_000)}a"}`,
    binary: maskOf(2, 15_000),
  },
  {
    says: "an update mask of one long path",
    method: updateUserProfile,
    json: `{"profile":{"user_id":"user_01h455vb4pex5vsknk084sn02q"},"update_mask":"${"zq".repeat(20_000)}"}`,
  },
  ...[nines, `"${nines}"`, "9".repeat(60_000), `"${"9".repeat(60_000)}"`].map((digits) => ({
    says: `a number of ${digits.length} digits${digits.startsWith('"') ? " in a text" : ""}`,
    method: listProducts,
    json: `{"page_size":${digits},"min_price":${digits}}`,
  })),
  { says: "digits in a stream's request", method: watchStock, json: `{"after_sequence":"${"9".repeat(60_000)}"}` },
  {
    says: "300,000 keys of a map",
    method: createProduct,
    json: `{"product":{"attributes":${keys(80_000)}}}`,
    binary: times(1, (to) =>
      to
        .tag(1, WireType.LengthDelimited)
        .bytes(times(300_000, (map) => map.tag(12, WireType.LengthDelimited).bytes(empty))),
    ),
  },
  {
    says: "the maximum number of keys of a map, all invalid",
    method: createProduct,
    json: `{"product":{"name":"a","attributes":${keys(32)}}}`,
  },
  {
    says: "a key of 50,000 characters",
    method: createProduct,
    json: `{"product":{"attributes":{"${"é".repeat(20_000)}":"red"}}}`,
  },
  {
    says: "an unknown name of 50,000 characters",
    method: register,
    json: `{"${"zq".repeat(25_000)}":1}`,
    rest: ["POST", "/register"],
  },
  { says: "10,000 unknown names", method: register, json: keys(5_000), rest: ["POST", "/register"] },
  {
    says: "a repeated name of 20,000 characters",
    method: register,
    json: `{"${"é".repeat(20_000)}":1,"${"é".repeat(20_000)}":1}`,
    rest: ["POST", "/register"],
  },
  {
    says: "an enum of 50,000 characters",
    method: setRoles,
    json: `{"user_id":"user_01h455vb4pex5vsknk084sn02q","roles":["${"zq".repeat(25_000)}"]}`,
  },
  {
    says: "100,000 numbers of an enum, packed",
    method: setRoles,
    json: `{"roles":${listOf(100_000, "1")}}`,
    binary: times(1, (to) => to.tag(2, WireType.LengthDelimited).bytes(new Uint8Array(100_000).fill(1))),
  },
  {
    says: "100,000 levels",
    method: getProductByID,
    json: `${"[".repeat(100_000)}`,
    binary: new Uint8Array(100_000).fill(0x7b),
  },
  { says: "levels of a small body", method: getProductByID, json: `{"a":${"[".repeat(30_000)}${"]".repeat(30_000)}}` },
  {
    says: "unknown fields",
    method: getProductByID,
    json: `{${'"zqzqzq":1,'.repeat(5_000)}"a":1}`,
    binary: times(300_000, (to) => to.tag(100, WireType.Varint).uint32(1)),
  },
  {
    says: "a text of a megabyte",
    method: createProduct,
    json: `{"product":{"name":"${"zq".repeat(aMegabyte / 2)}"}}`,
    binary: times(1, (to) => to.tag(1, WireType.LengthDelimited).bytes(new Uint8Array(aMegabyte))),
  },
  {
    says: "half a character",
    method: register,
    json: '{"\\ud800":1,"username":"\\udfff"}',
    rest: ["POST", "/register"],
  },
  {
    says: "zeros",
    method: register,
    json: "\0".repeat(aMegabyte),
    binary: new Uint8Array(aMegabyte),
    rest: ["POST", "/register"],
  },
];

function maskOf(field: number, count: number): Uint8Array {
  const mask = times(count, (to) => to.tag(1, WireType.LengthDelimited).string("a"));
  return times(1, (to) => to.tag(field, WireType.LengthDelimited).bytes(mask));
}

describe("an error has at most 16 KiB, and repeats at most 200 characters:", () => {
  describe.each(attacks.map((attack) => [attack.says, attack] as const))("%s", (_says, attack) => {
    test.each(Object.entries(waysOf(attack)))("in %s", async (_way, send) => expectCheap(await send()));
  });
});

const long = "zq".repeat(6_000);
const anId = "product_01h455vb4pex5vsknk084sn02q";
const getPath = pathOf(getProductByID);
const query = (parameters: JsonObject) => `${getPath}?${new URLSearchParams(parameters as Record<string, string>)}`;

describe("the same for errors outside of the message:", () => {
  test.each<readonly [string, () => Promise<Answer>]>([
    ["a content type", () => overHttp1("/register", post(`application/${long}`, "{}"))],
    ["a content encoding", () => overHttp1("/register", post("application/json", "{}", { "content-encoding": long }))],
    [
      "Connect's content encoding",
      () => overHttp1(getPath, post("application/json", "{}", { "content-encoding": long })),
    ],
    [
      "Connect's version",
      () => overHttp1(getPath, post("application/json", "{", { "connect-protocol-version": long })),
    ],
    ["Connect's timeout", () => overHttp1(getPath, post("application/json", "{}", { "connect-timeout-ms": long }))],
    [
      "a stream's encoding",
      () =>
        overHttp1(
          pathOf(watchStock),
          post("application/connect+json", enveloped(Buffer.from("{}")), { "connect-content-encoding": long }),
        ),
    ],
    [
      "gRPC-Web's encoding",
      () => overHttp1(getPath, post("application/grpc-web+proto", enveloped(empty), { "grpc-encoding": long })),
    ],
    [
      "gRPC-Web's timeout",
      () => overHttp1(getPath, post("application/grpc-web+proto", enveloped(empty), { "grpc-timeout": long })),
    ],
    ["gRPC's encoding", () => overGrpc(getPath, enveloped(empty), { "grpc-encoding": long })],
    ["gRPC's timeout", () => overGrpc(getPath, enveloped(empty), { "grpc-timeout": long })],
    ["a method", () => overHttp1(`/shop.users.v1.UserService/${long}`, post("application/json", "{}"))],
    ["a service", () => overGrpc(`/shop.${long}.v1/Get`, enveloped(empty))],
    ["a path", () => overHttp1(`/${long}`, {})],
    ["a path that has other methods", () => overHttp1(`/products/${long}`, { method: "PUT" })],
    ["a variable of a path", () => overHttp1(`/products/${long}`, {})],
    ["a variable that does not decode", () => overHttp1(`/products/${long}%ff`, {})],
    ["a parameter", () => overHttp1(`/products?${long}=1`, {})],
    ["a nested parameter", () => overHttp1(`/products?${"zq.".repeat(3_000)}a=1`, {})],
    ["a parameter that does not decode", () => overHttp1(`/products?${long}%ff=1`, {})],
    ["a value", () => overHttp1(`/products?page_size=${long}`, {})],
    ["a value of digits", () => overHttp1(`/products?page_size=${"9".repeat(12_000)}`, {})],
    ["a value of another enum", () => overHttp1(`/orders?status=${long}`, {})],
    ["a time", () => overHttp1(`/orders?create_time_from=${long}`, {})],
    ["7,000 parameters", () => overHttp1(`/products?${"a&".repeat(7_000)}`, {})],
    [
      "a mask in a query",
      () => overHttp1(`/products:batchGet?product_ids=${anId}&read_mask=${"zq,".repeat(4_000)}a`, {}),
    ],
    ["a path of a mask", () => overHttp1(`/products:batchGet?product_ids=${anId}&read_mask=${long}`, {})],
    ["1,500 ids in a query", () => overHttp1(`/products:batchGet?${"product_ids=&".repeat(1_100)}`, {})],
    ["an entity tag", () => overHttp1(product, { method: "DELETE", headers: { "if-match": long } })],
    ["a page token", () => overHttp1(`/products?page_token=${long}`, {})],
    ["a key of idempotency", () => overHttp1("/orders", post("application/json", "{}", { "idempotency-key": long }))],
    ["GET's encoding", () => overHttp1(query({ connect: "v1", encoding: long, message: "{}" }), {})],
    [
      "GET's compression",
      () => overHttp1(query({ connect: "v1", encoding: "json", compression: long, message: "{}" }), {}),
    ],
    ["GET's version", () => overHttp1(query({ connect: long, encoding: "json", message: "{" }), {})],
    ["GET's name", () => overHttp1(query({ connect: "v1", encoding: "json", message: `{"${long}":1}` }), {})],
    [
      "GET's bomb",
      () =>
        overHttp1(
          query({
            connect: "v1",
            encoding: "json",
            compression: "gzip",
            base64: "1",
            message: gzipSync(`{"a":[${"{},".repeat(300_000)}{}]}`).toString("base64url"),
          }),
          {},
        ),
    ],
    ["an access token", () => overHttp1("/sessions", { headers: { authorization: `Bearer ${long}` } })],
  ])("%s", async (_what, send) => expectCheap(await send()));
});

test("of a hundred invalid items the first twenty violations are reported", async () => {
  const body = `{"items":${listOf(100, '{"product_id":"none","quantity":-1}')}}`;
  const answer = await overHttp1("/orders", post("application/json", body));
  const { details } = JSON.parse(answer.text.slice(answer.text.indexOf("{"))) as {
    details: readonly { readonly field_violations?: readonly unknown[] }[];
  };
  expect(details.flatMap(({ field_violations = [] }) => field_violations)).toHaveLength(20);
});

test("requests within the limits succeed: a hundred ids, every field of a mask, a body of whitespace", async () => {
  const ids = Array.from({ length: 100 }, () => anId);
  const body = JSON.stringify({ productIds: ids, readMask: "name,category,price,sku" });
  for (const text of [body, body.padEnd(60_000, " ")]) {
    const answer = await overHttp1(pathOf(batchGetProducts), post("application/json", text));
    expect(answer.status).toBe("200");
  }
  const overRest = await overHttp1(`/products:batchGet?${ids.map((id) => `product_ids=${id}`).join("&")}`, {});
  expect(overRest.status).toBe("200");
});
