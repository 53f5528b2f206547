import { type Compression, compressionNegotiate } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";

/** What requests may be compressed by, and answers are. */
export const compressions: Compression[] = [compressionGzip, compressionBrotli];

/** Shorter answers are not worth it: Connect's own default. */
const compressMinBytes = 1024;

/** Bytes of an answer, and what they were compressed to, by the names of compressions. */
export interface Compressible {
  readonly bytes: Uint8Array;
  readonly compressed: Map<string, Promise<Uint8Array>>;
}

export function compressible(bytes: Uint8Array): Compressible {
  return { bytes, compressed: new Map() };
}

/** An answer as the caller takes it, with the name of what compressed it. */
export async function compressed(
  { bytes, compressed }: Compressible,
  accepted: string | string[] | undefined,
): Promise<readonly [bytes: Uint8Array, name: string | undefined]> {
  if (bytes.byteLength < compressMinBytes || accepted === undefined) return [bytes, undefined];
  const { response } = compressionNegotiate(compressions, null, String(accepted), "");
  if (response === null) return [bytes, undefined];
  const { name } = response;
  const made = compressed.get(name) ?? response.compress(bytes as Uint8Array<ArrayBuffer>);
  compressed.set(name, made);
  return [await made, name];
}
