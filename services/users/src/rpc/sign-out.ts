import type { MethodImpl } from "@connectrpc/connect";
import { userIdOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { dropCookie } from "../adapters/http/refresh-cookie.ts";
import { sessionEndedEvent } from "../adapters/proto/events.ts";
import { sessionIdOf } from "../application/caller-session.ts";
import type { SessionStore } from "../application/ports/session-store.ts";
import { sessionNotFound } from "../domain/errors.ts";

/** Ends one of the caller's sessions. A retry after success is UNAUTHENTICATED or SESSION_NOT_FOUND. */
export function signOut(on: {
  readonly sessions: SessionStore;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.signOut> {
  return async (request, context) => {
    const sessionId = request.sessionId || sessionIdOf(context);
    const session = await on.sessions.findById(sessionId);
    if (session?.userId !== userIdOf(context)) throw sessionNotFound(sessionId);
    const now = on.clock();
    await on.sessions.end(sessionId, now, [sessionEndedEvent(session, now)]);
    if (sessionId === sessionIdOf(context)) dropCookie(context);
    return {};
  };
}
