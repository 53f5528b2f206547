import type { DescMethod, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { BadRequestSchema, ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { explainJson } from "./rest/explain-json.ts";
import { once } from "./rest/once.ts";

/**
 * Connect says that a JSON request does not decode, but not which fields are at fault. This wraps a handler so that unary
 * Connect JSON is told as much as REST is: the violations, under the same reason.
 */
export function explainJsonErrors(handler: UniversalHandler): UniversalHandler {
  if (handler.method.methodKind !== "unary") return handler;
  const explaining = async (request: UniversalServerRequest): Promise<UniversalServerResponse> => {
    if (!isPlainJson(request)) return await handler(request);
    const chunks: Uint8Array[] = [];
    const response = await handler({ ...request, body: kept(request.body as AsyncIterable<Uint8Array>, chunks) });
    // What was refused before its body was read has another reason than its body.
    return response.status === 400 && chunks.length > 0 ? await explained(response, handler.method, chunks) : response;
  };
  const { protocolNames, service, method, requestPath, supportedContentType, allowedMethods } = handler;
  return Object.assign(explaining, {
    protocolNames,
    service,
    method,
    requestPath,
    supportedContentType,
    allowedMethods,
  });
}

function isPlainJson({ method, header, body }: UniversalServerRequest): boolean {
  const isJson = /^application\/json\b/i.test(header.get("content-type") ?? "");
  return method === "POST" && isJson && !header.has("content-encoding") && Symbol.asyncIterator in Object(body);
}

/** Keeps references to what passes; the handler enforces the limit of how much that is. */
async function* kept(body: AsyncIterable<Uint8Array>, chunks: Uint8Array[]): AsyncIterable<Uint8Array> {
  for await (const chunk of body) {
    chunks.push(chunk);
    yield chunk;
  }
}

async function explained(
  response: UniversalServerResponse,
  method: DescMethod,
  chunks: readonly Uint8Array[],
): Promise<UniversalServerResponse> {
  if (response.body == null || response.header?.has("content-encoding")) return response;
  const bytes = Buffer.concat(await Array.fromAsync(response.body as AsyncIterable<Uint8Array>));
  const error = parse(bytes) as (JsonObject & { message?: string }) | undefined;
  if (error?.code !== "invalid_argument" || error.details !== undefined) return { ...response, body: once(bytes) };

  const message = error.message ?? "";
  const request = parse(Buffer.concat(chunks));
  const fieldViolations =
    request === undefined
      ? [{ field: "", description: "the request body is not valid JSON" }]
      : explainJson(method.input, request, new Error(message), undefined);
  const details = [
    { desc: ErrorInfoSchema, value: { reason: "INVALID_FIELDS", domain: method.parent.file.proto.package } },
    { desc: BadRequestSchema, value: { fieldViolations } },
  ];
  const body = errorToJsonBytes(new ConnectError(message, Code.InvalidArgument, undefined, details), undefined);
  const header = new Headers(response.header);
  header.set("content-length", String(body.byteLength));
  return { ...response, header, body: once(body) };
}

function parse(bytes: Buffer): JsonValue | undefined {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}
