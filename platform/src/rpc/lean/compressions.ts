import { type Compression, compressionNegotiate } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";

/** What requests may be compressed by, and answers are. */
export const compressions: Compression[] = [compressionGzip, compressionBrotli];

/** Shorter answers are not worth it: Connect's own default. */
const compressMinBytes = 1024;

/** An answer as the caller takes it, with the name of what compressed it. */
export async function compressed(
  message: Uint8Array,
  accepted: string | string[] | undefined,
): Promise<readonly [bytes: Uint8Array, name: string | undefined]> {
  if (message.byteLength < compressMinBytes || accepted === undefined) return [message, undefined];
  const { response } = compressionNegotiate(compressions, null, String(accepted), "");
  if (response === null) return [message, undefined];
  return [await response.compress(message as Uint8Array<ArrayBuffer>), response.name];
}
