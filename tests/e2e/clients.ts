import {
  createRegistry,
  type DescMethodUnary,
  fromBinary,
  fromJson,
  isMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { StatusSchema } from "@shop/gen/google/rpc/status_pb";
import { queryString, restCalls } from "./rest-routes.ts";

const timeoutMs = 20_000;
const detailTypes = createRegistry(BadRequestSchema, ErrorInfoSchema, RetryInfoSchema);

/** A call, the same for every protocol: the request message in canonical JSON. */
export interface Call {
  readonly method: DescMethodUnary;
  readonly request: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface CallError {
  /** The name of the code, such as "NotFound". */
  readonly code: string;
  readonly message: string;
  /** ErrorInfo.reason; empty without an ErrorInfo. */
  readonly reason: string;
  /** The fields that BadRequest blames. */
  readonly violations: readonly string[];
}

/** What came of a call, in a form that does not tell the protocol: the response message in canonical JSON, or an error. */
export type Outcome = { readonly message: JsonValue } | { readonly error: CallError };

/** A client of one port that speaks one protocol. */
export interface ProtocolClient {
  readonly name: string;
  call(call: Call): Promise<Outcome>;
  close(): void;
}

/** Every way to call a port: clients by different authors, over HTTP/1.1 and HTTP/2. */
export const protocols: Readonly<Record<string, (baseUrl: string) => ProtocolClient>> = {
  "Connect-Web in JSON": (baseUrl) =>
    overTransport(
      "Connect-Web in JSON",
      createConnectTransport({ baseUrl, jsonOptions: { ignoreUnknownFields: false } }),
    ),
  "Connect-Web in binary": (baseUrl) =>
    overTransport("Connect-Web in binary", createConnectTransport({ baseUrl, useBinaryFormat: true })),
  "Connect-Web's gRPC-Web": (baseUrl) => overTransport("Connect-Web's gRPC-Web", createGrpcWebTransport({ baseUrl })),
  "connect-node's gRPC": (baseUrl) => overTransport("connect-node's gRPC", createGrpcTransport({ baseUrl })),
  "grpc-js": (baseUrl) => overGrpcJs(baseUrl),
  "fetch of REST": (baseUrl) => overRest(baseUrl),
};

/** The name of a method as its path has it: `shop.users.v1.UserService/Register`. */
export function nameOf(method: DescMethodUnary): string {
  return `${method.parent.typeName}/${method.name}`;
}

function overTransport(name: string, transport: Transport): ProtocolClient {
  return {
    name,
    async call({ method, request, headers }) {
      try {
        const input = fromJson(method.input, request);
        const { message } = await transport.unary(method, undefined, timeoutMs, headers, input);
        return { message: toJson(method.output, message) };
      } catch (reason) {
        const error = ConnectError.from(reason);
        return {
          error: {
            code: Code[error.code],
            message: error.rawMessage,
            ...told(error.findDetails(ErrorInfoSchema), error.findDetails(BadRequestSchema)),
          },
        };
      }
    },
    close() {},
  };
}

/** A client that Connect's authors did not write; only the messages are encoded by protobuf-es. */
function overGrpcJs(baseUrl: string): ProtocolClient {
  const client = new Client(new URL(baseUrl).host, credentials.createInsecure());
  return {
    name: "grpc-js",
    call: ({ method, request, headers = {} }) =>
      new Promise((resolve) => {
        const metadata = new Metadata();
        for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
        client.makeUnaryRequest(
          `/${nameOf(method)}`,
          (message: Message) => Buffer.from(toBinary(method.input, message)),
          (bytes) => fromBinary(method.output, bytes),
          fromJson(method.input, request),
          metadata,
          { deadline: Date.now() + timeoutMs },
          (error, message) => {
            if (error !== null) resolve({ error: grpcError(error) });
            else resolve({ message: toJson(method.output, message!) });
          },
        );
      }),
    close: () => client.close(),
  };
}

function grpcError(error: ServiceError): CallError {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const status = bytes === undefined ? undefined : fromBinary(StatusSchema, Buffer.from(bytes as Buffer));
  const details = status?.details.map((detail) => anyUnpack(detail, detailTypes)) ?? [];
  return {
    code: Code[error.code]!,
    // grpc-js decodes less of grpc-message than Connect encodes; the status carries it as it was written.
    message: status?.message ?? error.details,
    ...told(
      details.filter((detail) => isMessage(detail, ErrorInfoSchema)),
      details.filter((detail) => isMessage(detail, BadRequestSchema)),
    ),
  };
}

function overRest(baseUrl: string): ProtocolClient {
  return {
    name: "fetch of REST",
    async call({ method, request, headers }) {
      const named = toJson(method.input, fromJson(method.input, request), { useProtoFieldName: true }) as JsonObject;
      const { verb, path, query, body, answers } = restCalls[nameOf(method)]!(named);
      const response = await fetch(`${baseUrl}${path}${queryString(query)}`, {
        method: verb,
        headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const json = (await response.json()) as JsonObject;
      if (!response.ok) return { error: restError(json) };
      const message = fromJson(method.output, answers === undefined ? json : { [answers]: json });
      return { message: toJson(method.output, message) };
    },
    close() {},
  };
}

/** google.rpc.Status as JSON with proto field names. */
export function restError(json: JsonObject): CallError {
  const status = fromJson(StatusSchema, json, { registry: detailTypes });
  const details = status.details.map((detail) => anyUnpack(detail, detailTypes));
  return {
    code: Code[status.code]!,
    message: status.message,
    ...told(
      details.filter((detail) => isMessage(detail, ErrorInfoSchema)),
      details.filter((detail) => isMessage(detail, BadRequestSchema)),
    ),
  };
}

function told(
  infos: readonly MessageShape<typeof ErrorInfoSchema>[],
  badRequests: readonly MessageShape<typeof BadRequestSchema>[],
): Pick<CallError, "reason" | "violations"> {
  return {
    reason: infos[0]?.reason ?? "",
    violations: badRequests.flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field)),
  };
}
