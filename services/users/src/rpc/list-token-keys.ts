import type { MethodImpl } from "@connectrpc/connect";
import type { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { toTokenKey } from "../adapters/proto/token-key.ts";
import type { TokenKeys } from "../application/token-keys.ts";

/** Lists the public keys. Safe to retry. Cacheable, because a key is published long before it signs. */
export function listTokenKeys(on: {
  readonly tokenKeys: TokenKeys;
}): MethodImpl<typeof TokenKeyService.method.listTokenKeys> {
  const maxAgeSeconds = Math.floor(on.tokenKeys.rotation.leadMs / 2 / 1000);
  return async (_request, { responseHeader }) => {
    responseHeader.set("cache-control", `public, max-age=${maxAgeSeconds}`);
    return { keys: (await on.tokenKeys.list()).map(toTokenKey) };
  };
}
