import {
  type DescMethod,
  fromBinary,
  fromJsonString,
  type JsonValue,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { GrpcWebClientBase, MethodDescriptor, type RpcError } from "grpc-web";

// A page's script with the official gRPC-Web client: official-grpc-web.e2e.test.ts runs it in a browser. Only messages are
// encoded by protobuf-es.

/** The result of a call: its messages in canonical JSON, or the code and reason of its error. */
export interface OfficialOutcome {
  readonly messages: readonly JsonValue[];
  readonly error?: { readonly code: number; readonly message: string; readonly hasDetails: boolean };
}

declare global {
  var callOfficially: (
    mode: "text" | "binary",
    baseUrl: string,
    method: string,
    /** In canonical JSON. */
    request: string,
    headers: Record<string, string>,
    /** For a stream: the number of messages to wait for. */
    count?: number,
  ) => Promise<string>;
}

const methods = new Map<string, DescMethod>(
  [UserService, InventoryService, OrderService].flatMap(({ methods, typeName }) =>
    methods.map((method) => [`${typeName}/${method.name}`, method] as const),
  ),
);

globalThis.callOfficially = async (...call) => JSON.stringify(await outcomeOf(...call));

function outcomeOf(
  ...[mode, baseUrl, name, request, headers, count = Number.POSITIVE_INFINITY]: Parameters<typeof callOfficially>
): Promise<OfficialOutcome> {
  const method = methods.get(name)!;
  const client = new GrpcWebClientBase({ format: mode });
  const isStream = method.methodKind === "server_streaming";
  const descriptor = new MethodDescriptor<Message, Message>(
    `/${name}`,
    isStream ? "server_streaming" : "unary",
    Object as never,
    Object as never,
    (message: Message) => toBinary(method.input, message),
    (bytes: Uint8Array) => fromBinary(method.output, bytes),
  );
  const input = fromJsonString(method.input, request);
  const failed = ({ code, message, metadata }: RpcError) => ({
    code,
    message: decodeURIComponent(message),
    hasDetails: "grpc-status-details-bin" in metadata,
  });
  const messages: JsonValue[] = [];
  return new Promise((resolve) => {
    if (isStream) {
      const stream = client.serverStreaming(`${baseUrl}/${name}`, input, headers, descriptor);
      stream.on("data", (message) => {
        messages.push(toJson(method.output, message));
        if (messages.length < count) return;
        stream.cancel();
        resolve({ messages });
      });
      stream.on("error", (error) => resolve({ messages, error: failed(error) }));
      stream.on("end", () => resolve({ messages }));
    } else {
      client.rpcCall(`${baseUrl}/${name}`, input, headers, descriptor, (error, message) =>
        resolve(error ? { messages, error: failed(error) } : { messages: [toJson(method.output, message)] }),
      );
    }
  });
}
