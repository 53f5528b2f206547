import { gzipSync } from "node:zlib";
import type { DescField, DescMethod } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { restRoutes } from "@shop/rest";

/** The largest bound of any message, and that of most messages. */
const [maxBytes, usualMaxBytes] = [1_048_576, 65_536];
/** Of the line of a request, that a server reads. */
const maxQueryCharacters = 12_000;

/** A request that has to be refused, in one encoding. */
export interface WorstRequest {
  /** The encoding and the body, as in "gRPC, 64 KiB of text". */
  readonly says: string;
  readonly httpVersion: 1 | 2;
  readonly verb: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Absent where it is all in the query. */
  readonly body?: Uint8Array;
}

/** The path of a method's procedure. */
function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** The most expensive requests of a method to refuse, in each encoding. */
export function worstRequests(method: DescMethod): WorstRequest[] {
  const isUnary = method.methodKind === "unary";
  const encodings = isUnary
    ? { ...unaryEncodings, ...envelopedEncodings }
    : { ...streamEncodings, ...envelopedEncodings };
  return [
    ...bodiesOf(method).flatMap((body) =>
      Object.entries(encodings).map(([name, encode]): WorstRequest => {
        const { headers, body: sent, httpVersion = 1 } = encode(body);
        return { says: `${name}, ${body.says}`, httpVersion, verb: "POST", path: pathOf(method), headers, body: sent };
      }),
    ),
    ...restRequests(method),
  ];
}

/** A route with a body gets each of the bodies; one without gets as long a query as is read. */
function restRequests(method: DescMethod): WorstRequest[] {
  return restRoutes([method.parent])
    .filter((route) => route.method === method)
    .flatMap(({ httpMethod: verb, path: template, body: takes }): WorstRequest[] => {
      const path = template.replaceAll(/\{[^}]*\}/g, "x");
      const shared = { httpVersion: 1, verb, headers: { "content-type": "application/json" } } as const;
      if (takes.kind !== "none")
        return bodiesOf(method).map(({ says, json }) => ({
          ...shared,
          says: `REST, ${says}`,
          path,
          body: Buffer.from(json),
        }));
      const parameter = `${listOf(method)?.name ?? "none"}=&`;
      const query = parameter.repeat(maxQueryCharacters / parameter.length);
      return [{ ...shared, says: "REST, 12 KB of query", path: `${path}?${query}`, headers: {} }];
    });
}

interface Body {
  readonly says: string;
  readonly json: string;
  readonly binary: Uint8Array;
}

/** The most expensive bodies to refuse: of the maximum sizes, and with as many values as are decoded. */
function bodiesOf(method: DescMethod): Body[] {
  const list = listOf(method);
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

/** The field that may have most values. */
function listOf({ input }: DescMethod): DescField | undefined {
  return input.fields.find(({ fieldKind }) => fieldKind === "list" || fieldKind === "map") ?? input.fields[0];
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

type Encode = (body: Body) => Pick<WorstRequest, "headers"> & { readonly body: Uint8Array; readonly httpVersion?: 2 };

const unaryEncodings: Readonly<Record<string, Encode>> = {
  "Connect JSON": ({ json }) => ({ headers: { "content-type": "application/json" }, body: Buffer.from(json) }),
  "Connect JSON, gzip": ({ json }) => ({
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: gzipSync(json),
  }),
  "Connect binary": ({ binary }) => ({ headers: { "content-type": "application/proto" }, body: binary }),
};

const streamEncodings: Readonly<Record<string, Encode>> = {
  "Connect JSON": ({ json }) => ({
    headers: { "content-type": "application/connect+json" },
    body: encodeEnvelope(0, Buffer.from(json)),
  }),
};

const envelopedEncodings: Readonly<Record<string, Encode>> = {
  "gRPC-Web binary": ({ binary }) => ({
    headers: { "content-type": "application/grpc-web+proto" },
    body: encodeEnvelope(0, binary),
  }),
  "gRPC-Web binary, gzip": ({ binary }) => ({
    headers: { "content-type": "application/grpc-web+proto", "grpc-encoding": "gzip" },
    body: encodeEnvelope(1, gzipSync(binary)),
  }),
  gRPC: ({ binary }) => ({
    headers: { "content-type": "application/grpc+proto", te: "trailers" },
    body: encodeEnvelope(0, binary),
    httpVersion: 2,
  }),
  "gRPC, gzip": ({ binary }) => ({
    headers: { "content-type": "application/grpc+proto", te: "trailers", "grpc-encoding": "gzip" },
    body: encodeEnvelope(1, gzipSync(binary)),
    httpVersion: 2,
  }),
};
