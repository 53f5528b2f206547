import type { MethodImpl } from "@connectrpc/connect";
import { callerOf, signStreamTicket } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import type { TokenKeys } from "../application/token-keys.ts";

/** Makes a ticket for a stream out of the access token that the call came with. Nothing is stored: safe to repeat. */
export function createStreamTicket(on: {
  readonly tokenKeys: TokenKeys;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.createStreamTicket> {
  return async ({ path }, context) => {
    const caller = callerOf(context);
    if (caller.kind !== "user" || caller.token === undefined)
      throw new Error("only users with a session can call this");
    const { token } = caller;
    return {
      ticket: await signStreamTicket(on.tokenKeys.signing, { ...caller, token }, path),
      expiresInSeconds: Math.max(0, Math.floor((token.expireTime.getTime() - on.clock().getTime()) / 1000)),
    };
  };
}
