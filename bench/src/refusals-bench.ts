import { gzipSync } from "node:zlib";
import { type DescField, type DescMethod, getOption } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { type LoadResult, load, type Request } from "./load.ts";
import { processorTimeMs } from "./processor-time.ts";
import type { BenchSettings } from "./settings.ts";
import { table } from "./table.ts";
import { withShop } from "./with-shop.ts";

const productCount = 50;
const usualSeconds = 15;
const callsOfEach = 20;
const readsPerSecond = 100;
const refusalsPerSecond = 50;
/** The largest bound of any message, and that of most messages. */
const [maxBytes, usualMaxBytes] = [1_048_576, 65_536];

const services = [UserService, InventoryService, OrderService, DeadLetterService];
const methods: readonly DescMethod[] = services
  .flatMap((service): readonly DescMethod[] => service.methods)
  .filter((method) => method.methodKind === "unary" && getOption(method, access) !== Access.INTERNAL);

interface Body {
  readonly says: string;
  readonly json: string;
  readonly binary: Uint8Array;
}

/** The most expensive bodies to refuse: of the maximum sizes, and with as many values as are decoded. */
function bodiesOf({ input }: DescMethod): Body[] {
  const list = input.fields.find(({ fieldKind }) => fieldKind === "list" || fieldKind === "map") ?? input.fields[0];
  return [
    items("a megabyte of items", list, maxBytes),
    items("64 KiB of items", list, usualMaxBytes),
    items("as many items as are decoded", list, 2_000),
    {
      says: "64 KiB of unknown fields",
      json: `{${Array.from({ length: usualMaxBytes / 14 }, (_, at) => `"k${at}":1`).join()}}`,
      binary: repeated(usualMaxBytes / 5, (to) => to.tag(1_000, WireType.Varint).uint32(1)),
    },
    {
      says: "64 KiB of text",
      json: JSON.stringify({ [list?.jsonName ?? "none"]: "a".repeat(usualMaxBytes - 100) }),
      binary: repeated(1, (to) =>
        to.tag(list?.number ?? 1, WireType.LengthDelimited).bytes(new Uint8Array(usualMaxBytes - 100).fill(97)),
      ),
    },
    {
      says: "64 KiB of levels",
      json: "[".repeat(usualMaxBytes - 1),
      binary: new Uint8Array(usualMaxBytes - 1).fill(0x7b),
    },
  ];
}

function items(says: string, field: DescField | undefined, bytes: number): Body {
  const item = field?.fieldKind === "list" && field.listKind === "message" ? "{}" : '""';
  return {
    says,
    json: `{"${field?.jsonName ?? "none"}":[${`${item},`.repeat(bytes / 3 - 20)}${item}]}`,
    binary: repeated(bytes / 2 - 10, (to) =>
      to.tag(field?.number ?? 1, WireType.LengthDelimited).bytes(new Uint8Array()),
    ),
  };
}

function repeated(count: number, write: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  for (let index = 0; index < count; index++) write(writer);
  return writer.finish();
}

type Form = (body: Body) => { readonly headers: Record<string, string>; readonly body: Uint8Array };

const forms: Readonly<Record<string, Form>> = {
  "Connect JSON": ({ json }) => ({ headers: { "content-type": "application/json" }, body: Buffer.from(json) }),
  "Connect JSON, gzip": ({ json }) => ({
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: gzipSync(json),
  }),
  "Connect binary": ({ binary }) => ({ headers: { "content-type": "application/proto" }, body: binary }),
  "gRPC-Web binary": ({ binary }) => ({
    headers: { "content-type": "application/grpc-web+proto" },
    body: encodeEnvelope(0, binary),
  }),
  "gRPC-Web binary, gzip": ({ binary }) => ({
    headers: { "content-type": "application/grpc-web+proto", "grpc-encoding": "gzip" },
    body: encodeEnvelope(1, gzipSync(binary)),
  }),
};

interface Refusal {
  readonly method: DescMethod;
  readonly form: string;
  readonly body: Body;
  readonly cpuMs: number;
  readonly bytes: number;
}

/** The cost of refusing the worst requests, and its effect on reads of products. */
export async function benchRefusals(settings: BenchSettings): Promise<string> {
  const seconds = settings.seconds ?? usualSeconds;
  return await withShop(productCount, async (shop, shopping, productIds) => {
    const pid = shop.pidOf("all-in-one");
    const refusals: Refusal[] = [];
    for (const method of methods) {
      const authorization = `Bearer ${await shopping.signInAdmin()}`;
      for (const body of bodiesOf(method))
        for (const [form, encode] of Object.entries(forms)) {
          const { headers, body: sent } = encode(body);
          const request = { method: "POST", headers: { ...headers, authorization }, body: new Uint8Array(sent) };
          const cost = await measured(shop.url + pathOf(method), request, pid);
          if (cost !== undefined) refusals.push({ method, form, body, ...cost });
        }
      const worst = worstOf(refusals.filter((refusal) => refusal.method === method));
      console.log(`${method.name}: ${worst.cpuMs.toFixed(1)} ms, ${worst.form}, ${worst.body.says}`);
    }

    const reads = productIds.map((id): Request => ({ method: "GET", path: `/products/${id}` }));
    const read = () =>
      load({ url: shop.url, requests: reads, connections: 8, seconds, callsPerSecond: readsPerSecond });
    await read();
    const calm = await read();
    const [worst] = refusals
      .filter(({ form, method }) => form === "Connect JSON" && getOption(method, access) === Access.PUBLIC)
      .toSorted((a, b) => b.cpuMs - a.cpuMs);
    const refused: Request = {
      method: "POST",
      path: pathOf(worst!.method),
      headers: { "content-type": "application/json" },
      body: worst!.body.json,
    };
    const storm = load({
      ...{ url: shop.url, requests: [refused], connections: 8, seconds },
      callsPerSecond: refusalsPerSecond,
    });
    const [beside, answered] = await Promise.all([read(), storm]);
    return describe(refusals, calm, beside, answered, worst!, seconds);
  });
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Undefined for requests that are not refused: repeated empty texts may be valid. */
async function measured(
  url: string,
  request: RequestInit,
  pid: number,
): Promise<{ cpuMs: number; bytes: number } | undefined> {
  const before = processorTimeMs(pid);
  let bytes = 0;
  for (let call = 0; call < callsOfEach; call++) {
    const response = await fetch(url, request);
    const answer = Buffer.from(await response.arrayBuffer());
    const isGrpc = response.headers.get("content-type")?.startsWith("application/grpc") ?? false;
    if (response.ok && (!isGrpc || answer.includes("grpc-status: 0"))) return undefined;
    bytes = answer.byteLength;
  }
  return { cpuMs: (processorTimeMs(pid) - before) / callsOfEach, bytes };
}

function worstOf(refusals: readonly Refusal[]): Refusal {
  return refusals.reduce((worst, one) => (one.cpuMs > worst.cpuMs ? one : worst));
}

function describe(
  refusals: readonly Refusal[],
  calm: LoadResult,
  beside: LoadResult,
  answered: LoadResult,
  worst: Refusal,
  seconds: number,
): string {
  const rows = methods.map((method) => {
    const own = refusals.filter((refusal) => refusal.method === method);
    const { form, body, cpuMs } = worstOf(own);
    return [method.name, cpuMs.toFixed(1), `${form}, ${body.says}`, String(Math.max(...own.map(({ bytes }) => bytes)))];
  });
  const row = (name: string, { perSecond, p50Ms, p99Ms }: LoadResult) => [
    name,
    ...[perSecond, p50Ms, p99Ms].map((figure) => figure.toFixed(1)),
  ];
  const count = Object.values(answered.refused).reduce((sum, one) => sum + one, 0);
  return [
    `Refused requests, at the public port of the shop in one process, by an administrator, one after the other; ${callsOfEach} of each`,
    `of ${Object.keys(forms).length} encodings and ${bodiesOf(methods[0]!).length} bodies: a megabyte of items, 64 KiB of items, of unknown fields, of one text, of levels, and as many items as are decoded.`,
    "Processor time is that of the process of the shop, in ticks of 10 ms. Bounds: 20 ms and 16,384 bytes.",
    "",
    ...table(["method", "CPU ms", "of", "largest answer, bytes"], rows),
    "",
    `Reads are GET /products/{id}, ${readsPerSecond} a second for ${seconds} s; meanwhile ${refusalsPerSecond} calls a second of ${worst.method.name}`,
    `(${worst.form}, ${worst.body.says}), of which ${count} were refused.`,
    "",
    ...table(["", "a second", "p50 ms", "p99 ms"], [row("reads without load", calm), row("beside refusals", beside)]),
  ].join("\n");
}
