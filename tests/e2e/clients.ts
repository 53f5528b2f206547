import {
  createRegistry,
  type DescMethodUnary,
  fromBinary,
  fromJson,
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
import { BadRequestSchema, ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { StatusSchema } from "@shop/gen/google/rpc/status_pb";
import { queryString, restCalls } from "./rest-routes.ts";

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
    overTransport("Connect-Web in JSON", createConnectTransport({ baseUrl, jsonOptions: { ignoreUnknownFields: false } })),
  "Connect-Web in binary": (baseUrl) =>
    overTransport("Connect-Web in binary", createConnectTransport({ baseUrl, useBinaryFormat: true })),
  "Connect-Web's gRPC-Web": (baseUrl) =>
    overTransport("Connect-Web's gRPC-Web", createGrpcWebTransport({ baseUrl })),
  "connect-node's gRPC": (baseUrl) => overTransport("connect-node's gRPC", createGrpcTransport({ baseUrl })),
  "grpc-js": (baseUrl) => overGrpcJs(baseUrl),
  "fetch of REST": (baseUrl) => overRest(baseUrl),
};

export type ProtocolName = keyof typeof protocols;

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
        const { message } = await transport.unary(method, undefined, 20_000, headers, input);
        return { message: toJson(method.output, message as Message) };
      } catch (error) {
        const { code, rawMessage, ...connectError } = ConnectError.from(error);
        const found = ConnectError.from(error);
        return {
          error: {
            code: Code[code],
            message: rawMessage,
            ...details(found.findDetails(ErrorInfoSchema), found.findDetails(BadRequestSchema)),
            ...(connectError.name === "" ? {} : {}),
          },
        };
      }
    },
    close() {},
  };
}
