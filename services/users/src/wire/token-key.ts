import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TokenKeySchema } from "@shop/gen/shop/common/v1/token_keys_pb";
import type { SigningKey } from "@shop/platform";

/** The public half of a signing key, and nothing else of it. */
export function toTokenKey(key: SigningKey): MessageInitShape<typeof TokenKeySchema> {
  return { kty: "OKP", crv: "Ed25519", kid: key.kid, x: key.x!, alg: "EdDSA", use: "sig" };
}
