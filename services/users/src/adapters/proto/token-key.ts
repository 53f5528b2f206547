import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TokenKeySchema } from "@shop/gen/shop/common/v1/token_keys_pb";
import type { TokenKey } from "../../domain/token-key.ts";

/** A key as a JSON Web Key (RFC 8037). */
export function toTokenKey({ kid, x }: TokenKey): MessageInitShape<typeof TokenKeySchema> {
  return { kty: "OKP", crv: "Ed25519", kid, x, alg: "EdDSA", use: "sig" };
}
