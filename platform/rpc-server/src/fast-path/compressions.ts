import { type Compression, compressionNegotiate } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";

/** Compressions accepted for requests and used for answers. */
export const compressions: Compression[] = [compressionGzip, compressionBrotli];

/** Shorter answers are sent uncompressed: Connect's own default. */
const compressMinBytes = 1024;

/** Bytes of an answer, and their compressed forms by the name of the compression. */
export interface Compressible {
  readonly bytes: Uint8Array;
  compressed?: Map<string, Promise<Uint8Array>>;
}

type Compressed = readonly [bytes: Uint8Array, name: string | undefined];

/** The answer in the caller's preferred encoding, with the name of the compression (undefined for none). */
export function compressed(
  answer: Compressible,
  accepted: string | string[] | undefined,
): Compressed | Promise<Compressed> {
  const { bytes } = answer;
  if (bytes.byteLength < compressMinBytes || accepted === undefined) return [bytes, undefined];
  const { response } = compressionNegotiate(compressions, null, String(accepted), "");
  if (response === null) return [bytes, undefined];
  const { name } = response;
  answer.compressed ??= new Map();
  const made = answer.compressed.get(name) ?? response.compress(bytes as Uint8Array<ArrayBuffer>);
  answer.compressed.set(name, made);
  return made.then((compressedBytes) => [compressedBytes, name]);
}
