import type { MethodImpl } from "@connectrpc/connect";
import type { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import type { SigningKeyStore } from "../store/signing-key-store.ts";
import { toTokenKey } from "../wire/token-key.ts";

/** Lists the public halves of the signing keys. Safe to retry. */
export function listTokenKeys(on: {
  readonly signingKeys: SigningKeyStore;
}): MethodImpl<typeof TokenKeyService.method.listTokenKeys> {
  return async () => ({ keys: (await on.signingKeys.list()).map(toTokenKey) });
}
