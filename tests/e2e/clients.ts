import {
  createRegistry,
  type DescMethod,
  type DescMethodServerStreaming,
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
import type { AnyMethod } from "../contract.ts";
import { fetchAsText } from "./grpc-web-text.ts";
import { queryString, restCalls } from "./rest-routes.ts";

const timeoutMs = 20_000;
const noTimeout = 0;
const detailTypes = createRegistry(BadRequestSchema, ErrorInfoSchema, RetryInfoSchema);

export type { AnyMethod };

/** A call, the same for every protocol: the request message in canonical JSON. */
export interface Call<Method = AnyMethod> {
  readonly method: Method;
  readonly request: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface CallError {
  /** The name of the code, such as "NotFound". */
  readonly code: string;
  readonly message: string;
  /** ErrorInfo.reason; empty without an ErrorInfo. */
  readonly reason: string;
  /** The fields that BadRequest names. */
  readonly violations: readonly string[];
}

/** The result of a call, independent of the protocol: the response message in canonical JSON, or an error. */
export type Outcome = { readonly message: JsonValue } | { readonly error: CallError };

/** A client of one port that speaks one protocol. */
export interface ProtocolClient {
  readonly name: string;
  /** For a streaming method only the first message; then it cancels the call. */
  call(call: Call): Promise<Outcome>;
  /**
   * The messages in canonical JSON as they arrive, without a deadline. Throws a {@link CallFailed}; returning it cancels
   * the call.
   */
  stream(call: Call<DescMethodServerStreaming>): AsyncGenerator<JsonValue, void>;
  close(): void;
}

export class CallFailed extends Error {
  readonly error: CallError;

  constructor(error: CallError) {
    super(`${error.code} ${error.reason}: ${error.message}`);
    this.error = error;
  }
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
  "gRPC-Web in text": (baseUrl) =>
    overTransport("gRPC-Web in text", createGrpcWebTransport({ baseUrl, fetch: fetchAsText })),
  "connect-node's gRPC": (baseUrl) => overTransport("connect-node's gRPC", createGrpcTransport({ baseUrl })),
  "grpc-js": (baseUrl) => overGrpcJs(baseUrl),
  "fetch of REST": (baseUrl) => overRest(baseUrl),
};

/** The name of a method in its path: `shop.users.v1.UserService/Register`. */
export function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/** A client of unary calls and streams, both of which throw a {@link CallFailed}. */
function clientOf(
  name: string,
  unary: (call: Call<DescMethodUnary>) => Promise<JsonValue>,
  stream: ProtocolClient["stream"],
  close = () => {},
): ProtocolClient {
  async function firstOf(call: Call<DescMethodServerStreaming>): Promise<JsonValue> {
    for await (const message of stream(call)) return message;
    return null;
  }
  return {
    name,
    stream,
    close,
    async call({ method, ...rest }) {
      try {
        const isStream = method.methodKind === "server_streaming";
        return { message: await (isStream ? firstOf({ method, ...rest }) : unary({ method, ...rest })) };
      } catch (reason) {
        if (reason instanceof CallFailed) return { error: reason.error };
        throw reason;
      }
    },
  };
}

function overTransport(name: string, transport: Transport): ProtocolClient {
  const failed = (reason: unknown) => {
    const error = ConnectError.from(reason);
    return new CallFailed({
      code: Code[error.code],
      message: error.rawMessage,
      ...errorOf(error.findDetails(ErrorInfoSchema), error.findDetails(BadRequestSchema)),
    });
  };
  return clientOf(
    name,
    async ({ method, request, headers }) => {
      const input = fromJson(method.input, request);
      try {
        const { message } = await transport.unary(method, undefined, timeoutMs, headers, input);
        return toJson(method.output, message);
      } catch (reason) {
        throw failed(reason);
      }
    },
    async function* ({ method, request, headers }) {
      const leave = new AbortController();
      const input = (async function* () {
        yield fromJson(method.input, request);
      })();
      try {
        const { message: messages } = await transport.stream(method, leave.signal, noTimeout, headers, input);
        for await (const message of messages) yield toJson(method.output, message);
      } catch (reason) {
        throw failed(reason);
      } finally {
        leave.abort();
      }
    },
  );
}

/** A client by other authors than Connect's; protobuf-es only encodes the messages. */
function overGrpcJs(baseUrl: string): ProtocolClient {
  const client = new Client(new URL(baseUrl).host, credentials.createInsecure());
  const parts = ({ method, request, headers = {} }: Call) => {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return [
      `/${nameOf(method)}`,
      (message: Message) => Buffer.from(toBinary(method.input, message)),
      (bytes: Buffer) => fromBinary(method.output, bytes),
      fromJson(method.input, request),
      metadata,
    ] as const;
  };
  return clientOf(
    "grpc-js",
    (call) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(...parts(call), { deadline: Date.now() + timeoutMs }, (error, message) => {
          if (error !== null) reject(new CallFailed(grpcError(error)));
          else resolve(toJson(call.method.output, message!));
        });
      }),
    async function* (call) {
      const answers = client.makeServerStreamRequest(...parts(call));
      // It also emits the error of the cancellation below.
      answers.on("error", () => {});
      try {
        for await (const message of answers) yield toJson(call.method.output, message as Message);
      } catch (error) {
        throw new CallFailed(grpcError(error as ServiceError));
      } finally {
        answers.cancel();
      }
    },
    () => client.close(),
  );
}

function grpcError(error: ServiceError): CallError {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const status = bytes === undefined ? undefined : fromBinary(StatusSchema, Buffer.from(bytes as Buffer));
  const details = status?.details.map((detail) => anyUnpack(detail, detailTypes)) ?? [];
  return {
    code: Code[error.code]!,
    // grpc-js decodes less of grpc-message than Connect encodes; the status details have the original text.
    message: status?.message ?? error.details,
    ...errorOf(
      details.filter((detail) => isMessage(detail, ErrorInfoSchema)),
      details.filter((detail) => isMessage(detail, BadRequestSchema)),
    ),
  };
}

function overRest(baseUrl: string): ProtocolClient {
  async function ask({ method, request, headers }: Call, signal?: AbortSignal) {
    const named = toJson(method.input, fromJson(method.input, request), { useProtoFieldName: true }) as JsonObject;
    const { verb, path, query, body, answers } = restCalls[nameOf(method)]!(named);
    const response = await fetch(`${baseUrl}${path}${queryString(query)}`, {
      method: verb,
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
    if (!response.ok) throw new CallFailed(restError((await response.json()) as JsonObject));
    const canonical = (json: JsonValue) =>
      toJson(method.output, fromJson(method.output, answers === undefined ? json : { [answers]: json }));
    return { response, canonical };
  }
  return clientOf(
    "fetch of REST",
    async (call) => {
      const { response, canonical } = await ask(call);
      return canonical((await response.json()) as JsonValue);
    },
    async function* (call) {
      const leave = new AbortController();
      try {
        const { response, canonical } = await ask(call, leave.signal);
        for await (const line of linesOf(response.body!)) {
          const json = JSON.parse(line) as JsonObject;
          if (json.error !== undefined) throw new CallFailed(restError(json.error as JsonObject));
          yield canonical(json);
        }
      } finally {
        leave.abort();
      }
    },
  );
}

/** The lines of a body as they arrive. */
export async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** google.rpc.Status as JSON with proto field names. */
export function restError(json: JsonObject): CallError {
  const status = fromJson(StatusSchema, json, { registry: detailTypes });
  const details = status.details.map((detail) => anyUnpack(detail, detailTypes));
  return {
    code: Code[status.code]!,
    message: status.message,
    ...errorOf(
      details.filter((detail) => isMessage(detail, ErrorInfoSchema)),
      details.filter((detail) => isMessage(detail, BadRequestSchema)),
    ),
  };
}

function errorOf(
  infos: readonly MessageShape<typeof ErrorInfoSchema>[],
  badRequests: readonly MessageShape<typeof BadRequestSchema>[],
): Pick<CallError, "reason" | "violations"> {
  return {
    reason: infos[0]?.reason ?? "",
    violations: badRequests.flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field)),
  };
}
