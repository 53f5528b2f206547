import type { MethodImpl } from "@connectrpc/connect";
import { callerOf, signStreamTicket } from "@shop/auth";
import { type Clock, invalidFields } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import type { IsStream } from "../adapters/proto/stream-paths.ts";
import type { TokenKeys } from "../application/token-keys.ts";

/** Signs a ticket for a stream, with the rights and expiry of the call's access token. Stores nothing. Safe to retry. */
export function createStreamTicket(on: {
  readonly tokenKeys: TokenKeys;
  readonly isStream: IsStream;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.createStreamTicket> {
  return async ({ path }, context) => {
    const caller = callerOf(context);
    if (caller.kind !== "user" || caller.token === undefined)
      throw new Error("only users with a session can call this");
    if (!on.isStream(path)) {
      const description = "must be the path of a stream, such as /orders/order_01h455vb4pex5vsknk084sn02q:watch";
      throw invalidFields([{ field: "path", description }]);
    }
    const { token } = caller;
    return {
      ticket: await signStreamTicket(on.tokenKeys.signing, { ...caller, token }, path),
      expiresInSeconds: Math.max(0, Math.floor((token.expireTime.getTime() - on.clock().getTime()) / 1000)),
    };
  };
}
