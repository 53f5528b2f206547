import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Compression,
  compressedFlag,
  type UniversalHandler,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  errorToJsonBytes,
  parseTimeout as parseConnectTimeout,
} from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { cutText, maxQuotedCharacters, once } from "@shop/rest";
import { compressions } from "../fast-path/compressions.ts";

/** The checks that messages of a method must pass. */
export interface MessageChecks {
  /** The largest message, before and after decompression. */
  readonly maxBytes: number;
  /** The longest deadline; later ones are capped to it. */
  readonly maxTimeoutMs: number;
  /** The error that a message is refused with; undefined if it is accepted. */
  of(message: Uint8Array, isBinary: boolean): ConnectError | undefined;
}

/**
 * Wraps one of Connect's handlers so that messages are checked before it decodes them, in every protocol and compression.
 * Header values that its errors echo are truncated before it reads them.
 */
export function checkMessages(handler: UniversalHandler, checks: MessageChecks): UniversalHandler {
  const { protocolNames, service, method, requestPath, supportedContentType, allowedMethods } = handler;
  const checking = async (request: UniversalServerRequest): Promise<UniversalServerResponse> => {
    const header = withShortTimeouts(withShortValues(request.header), checks.maxTimeoutMs);
    if (request.method === "GET") return await checkedGet(handler, { ...request, header }, checks);
    if (!isStream(request.body)) return await handler({ ...request, header });
    return await handler({ ...request, header, body: checkedBody(header, request.body, checks) });
  };
  return Object.assign(checking, { protocolNames, service, method, requestPath, supportedContentType, allowedMethods });
}

function isStream(body: UniversalServerRequest["body"]): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

/** Connect's errors echo these values. */
const repeatedHeaders = [
  "content-encoding",
  "grpc-encoding",
  "connect-content-encoding",
  "connect-protocol-version",
  "connect-timeout-ms",
  "grpc-timeout",
];
const repeatedParameters = ["connect", "encoding", "compression"];

function withShortValues(header: Headers): Headers {
  const long = repeatedHeaders.filter((name) => (header.get(name)?.length ?? 0) > maxQuotedCharacters);
  if (long.length === 0) return header;
  const short = new Headers(header);
  for (const name of long) short.set(name, cutText(header.get(name)!));
  return short;
}

const timeouts = [
  { name: "grpc-timeout", parse: parseGrpcTimeout, unit: "m" },
  { name: "connect-timeout-ms", parse: parseConnectTimeout, unit: "" },
];

/**
 * Connect refuses a deadline beyond the limit; here it is capped, since a caller willing to wait longer can be answered sooner.
 */
function withShortTimeouts(header: Headers, maxTimeoutMs: number): Headers {
  const long = timeouts.filter(
    ({ name, parse }) => (parse(header.get(name), maxTimeoutMs).timeoutMs ?? 0) > maxTimeoutMs,
  );
  if (long.length === 0) return header;
  const short = new Headers(header);
  for (const { name, unit } of long) short.set(name, `${maxTimeoutMs}${unit}`);
  return short;
}

function checkedBody(
  header: Headers,
  body: AsyncIterable<Uint8Array>,
  checks: MessageChecks,
): AsyncIterable<Uint8Array> {
  const type = header.get("content-type") ?? "";
  const isBinary = !/^application\/([a-z-]+\+)?json\b/i.test(type);
  const isUnary = /^application\/(json|proto)\b/i.test(type);
  const encoding = isUnary
    ? header.get("content-encoding")
    : (header.get("grpc-encoding") ?? header.get("connect-content-encoding"));
  const look = async (bytes: Uint8Array, compression: Compression | undefined): Promise<void> => {
    const message = compression === undefined ? bytes : await decompressed(bytes, compression, checks);
    const refusal = message && checks.of(message, isBinary);
    if (refusal !== undefined) throw refusal;
  };
  const compression = compressions.find(({ name }) => name === encoding);
  return isUnary
    ? whole(body, checks, (bytes) => look(bytes, compression))
    : envelopes(body, checks, (bytes, isCompressed) => look(bytes, isCompressed ? compression : undefined));
}

/** Undefined if the bytes do not decompress: Connect reports that error. */
async function decompressed(
  bytes: Uint8Array,
  compression: Compression,
  { maxBytes }: MessageChecks,
): Promise<Uint8Array | undefined> {
  try {
    return await compression.decompress(bytes, maxBytes);
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.ResourceExhausted) throw tooLarge(maxBytes);
    return undefined;
  }
}

/** A body that is one message. */
async function* whole(
  body: AsyncIterable<Uint8Array>,
  { maxBytes }: MessageChecks,
  look: (message: Uint8Array) => Promise<void>,
): AsyncIterable<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const message = Buffer.concat(chunks, size);
  await look(message);
  yield message;
}

/** The prefix of each message: one byte of flags, four of length. */
const prefixBytes = 5;

/** A body of enveloped messages; each is passed on once it is complete. */
async function* envelopes(
  body: AsyncIterable<Uint8Array>,
  { maxBytes }: MessageChecks,
  look: (message: Uint8Array, isCompressed: boolean) => Promise<void>,
): AsyncIterable<Uint8Array> {
  let chunks: Uint8Array[] = [];
  let size = 0;
  let needed = prefixBytes;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.byteLength;
    // Chunks are joined only when they complete a prefix or message, since they may be as short as a byte.
    if (size < needed) continue;
    let bytes = Buffer.concat(chunks, size);
    for (needed = prefixBytes; bytes.byteLength >= needed; needed = prefixBytes) {
      needed += bytes.readUInt32BE(1);
      if (needed > maxBytes + prefixBytes) throw tooLarge(maxBytes);
      if (bytes.byteLength < needed) break;
      await look(bytes.subarray(prefixBytes, needed), (bytes[0]! & compressedFlag) !== 0);
      yield bytes.subarray(0, needed);
      bytes = bytes.subarray(needed);
    }
    chunks = [bytes];
    size = bytes.byteLength;
  }
  // Connect reports an incomplete envelope.
  if (size > 0) yield Buffer.concat(chunks, size);
}

/** Checks a Connect GET, whose message is in the query. */
async function checkedGet(
  handler: UniversalHandler,
  request: UniversalServerRequest,
  checks: MessageChecks,
): Promise<UniversalServerResponse> {
  const url = new URL(request.url);
  const { searchParams: query } = url;
  for (const name of repeatedParameters) if (query.has(name)) query.set(name, cutText(query.get(name)!));
  const refusal = await refusalOfQuery(query, checks);
  if (refusal === undefined) return await handler({ ...request, url: url.href });
  // Authorization comes first: call the handler with an invalid message, and replace its INVALID_ARGUMENT by the refusal.
  const response = await handler({
    ...request,
    url: `${url.origin}${url.pathname}?connect=v1&encoding=json&message={`,
  });
  if (response.status !== codeToHttpStatus(Code.InvalidArgument)) return response;
  const body = errorToJsonBytes(refusal, undefined);
  const header = new Headers(response.header);
  header.delete("content-encoding");
  header.set("content-length", String(body.byteLength));
  return { status: codeToHttpStatus(refusal.code), header, body: once(body) };
}

async function refusalOfQuery(query: URLSearchParams, checks: MessageChecks): Promise<ConnectError | undefined> {
  const encoding = query.get("encoding");
  const text = query.get("message") ?? "";
  if (encoding !== "json" && encoding !== "proto") return undefined;
  try {
    const bytes = query.get("base64") === "1" ? base64Decode(text) : Buffer.from(text);
    const compression = compressions.find(({ name }) => name === query.get("compression"));
    const message = compression === undefined ? bytes : await decompressed(bytes, compression, checks);
    return message && checks.of(message, encoding === "proto");
  } catch (error) {
    // Connect reports invalid base64.
    return error instanceof ConnectError ? error : undefined;
  }
}

function tooLarge(maxBytes: number): ConnectError {
  return new ConnectError(`the message is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
}
