import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  encodeEnvelope,
  type UniversalHandler,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamFromJson,
  endStreamToJson,
  errorFromJsonBytes,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { once } from "./rest/once.ts";

/**
 * Connect answers `internal` to bytes that are no message, as if we had failed. This wraps a handler so that they are what they
 * are in JSON: the caller's mistake, with a reason.
 */
export function blameUndecodable(handler: UniversalHandler): UniversalHandler {
  const blaming = async (request: UniversalServerRequest): Promise<UniversalServerResponse> =>
    await blamed(await handler(request), handler.method);
  const { protocolNames, service, method, requestPath, supportedContentType, allowedMethods } = handler;
  return Object.assign(blaming, { protocolNames, service, method, requestPath, supportedContentType, allowedMethods });
}

async function blamed(response: UniversalServerResponse, method: DescMethod): Promise<UniversalServerResponse> {
  const contentType = response.header?.get("content-type") ?? "";
  const body = response.body as AsyncIterable<Uint8Array> | undefined;
  if (contentType.startsWith("application/grpc-web"))
    return { ...response, body: withFirst(body!, (first) => blamedInWebTrailer(first, method)) };
  if (contentType.startsWith("application/connect+"))
    return { ...response, body: withFirst(body!, (first) => blamedInEndOfStream(first, method)) };
  if (contentType.startsWith("application/grpc")) blameInTrailer(response.trailer, method);
  else if (response.status === codeToHttpStatus(Code.Internal) && body !== undefined)
    return await blamedInUnary(response, body, method);
  return response;
}

/** What the library says of bytes; a handler's own words never come with this code. */
const saying = "parse binary: ";

function mistake(message: string, method: DescMethod): ConnectError {
  const info = { reason: "INVALID_FIELDS", domain: method.parent.file.proto.package };
  return new ConnectError(message, Code.InvalidArgument, undefined, [{ desc: ErrorInfoSchema, value: info }]);
}

function blameInTrailer(trailer: Headers | undefined, method: DescMethod): boolean {
  if (trailer?.get("grpc-status") !== String(Code.Internal)) return false;
  const message = decodeURIComponent(trailer.get("grpc-message") ?? "");
  if (!message.startsWith(saying)) return false;
  setTrailerStatus(trailer, mistake(message, method));
  return true;
}

// A call that fails before its method is called has one envelope for an answer: the last one.

function blamedInWebTrailer(envelope: Uint8Array, method: DescMethod): Uint8Array {
  if (envelope[0] !== trailerFlag) return envelope;
  const trailer = trailerParse(envelope.subarray(5));
  return blameInTrailer(trailer, method) ? encodeEnvelope(trailerFlag, trailerSerialize(trailer)) : envelope;
}

function blamedInEndOfStream(envelope: Uint8Array, method: DescMethod): Uint8Array {
  if (envelope[0] !== endStreamFlag) return envelope;
  const { metadata, error } = endStreamFromJson(envelope.subarray(5));
  if (!isUndecodable(error)) return envelope;
  const end = endStreamToJson(metadata, mistake(error.rawMessage, method), undefined);
  return encodeEnvelope(endStreamFlag, Buffer.from(JSON.stringify(end)));
}

async function blamedInUnary(
  response: UniversalServerResponse,
  body: AsyncIterable<Uint8Array>,
  method: DescMethod,
): Promise<UniversalServerResponse> {
  if (response.header?.has("content-encoding")) return response;
  const bytes = Buffer.concat(await Array.fromAsync(body));
  const error = errorFromJsonBytes(bytes, undefined, new ConnectError("not an error of Connect", Code.Unknown));
  if (!isUndecodable(error)) return { ...response, body: once(bytes) };
  const blame = errorToJsonBytes(mistake(error.rawMessage, method), undefined);
  const header = new Headers(response.header);
  header.set("content-length", String(blame.byteLength));
  return { ...response, status: codeToHttpStatus(Code.InvalidArgument), header, body: once(blame) };
}

function isUndecodable(error: ConnectError | undefined): error is ConnectError {
  return error?.code === Code.Internal && error.rawMessage.startsWith(saying);
}

async function* withFirst(
  body: AsyncIterable<Uint8Array>,
  change: (first: Uint8Array) => Uint8Array,
): AsyncIterable<Uint8Array> {
  let isFirst = true;
  for await (const chunk of body) {
    yield isFirst ? change(chunk) : chunk;
    isFirst = false;
  }
}
