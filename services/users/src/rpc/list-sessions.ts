import type { MethodImpl } from "@connectrpc/connect";
import { userIdOf } from "@shop/auth";
import { type Clock, cutPage, defaultPageSize, type PageTokens } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { toSessionMessage } from "../adapters/proto/session.ts";
import { sessionIdOf } from "../application/caller-session.ts";
import type { SessionStore } from "../application/ports/session-store.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import { userNotFound } from "../domain/errors.ts";

/** Lists the caller's live sessions, newest first. Safe to retry. */
export function listSessions(on: {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly pageTokens: PageTokens;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.listSessions> {
  return async ({ pageSize, pageToken }, context) => {
    const userId = userIdOf(context);
    const query = ["ListSessions", userId];
    const limit = pageSize || defaultPageSize;
    const after = pageToken === "" ? undefined : on.pageTokens.open<string>(pageToken, query);
    const user = await on.users.findById(userId);
    if (user === undefined) throw userNotFound(userId);
    const filter = { userId, sessionsSince: user.sessionsSince, now: on.clock(), after };
    const { page, last } = cutPage(await on.sessions.list(filter, limit + 1), limit);
    return {
      sessions: page.map((session) => toSessionMessage(session, sessionIdOf(context))),
      nextPageToken: last === undefined ? "" : on.pageTokens.seal(last.sessionId, query),
    };
  };
}
