import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { withHttpStatus } from "./http-status.ts";
import { cutText } from "./refusal-limits.ts";

const inflate = promisify(gunzip);

/**
 * Reads a whole body, at most `maxBytes` before and after decompression (identity and gzip).
 *
 * @throws ConnectError resource_exhausted as HTTP 413 beyond the limit, before reading if Content-Length exceeds it;
 * invalid_argument as HTTP 415 for another Content-Encoding and as 400 for broken gzip
 */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  headers: Headers,
  maxBytes: number,
): Promise<Uint8Array> {
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (encoding !== "identity" && encoding !== "gzip")
    throw withHttpStatus(
      new ConnectError(`the Content-Encoding ${cutText(encoding)} is not supported, use gzip`, Code.InvalidArgument),
      415,
    );
  if (Number(headers.get("content-length")) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const bytes = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, size);
  return encoding === "gzip" && size > 0 ? decompress(bytes, maxBytes) : bytes;
}

async function decompress(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  try {
    return await inflate(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(maxBytes);
    throw new ConnectError("the request body is not valid gzip", Code.InvalidArgument);
  }
}

function tooLarge(maxBytes: number): ConnectError {
  const error = new ConnectError(`the request body is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
  return withHttpStatus(error, 413);
}
