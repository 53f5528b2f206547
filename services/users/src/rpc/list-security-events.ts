import type { MethodImpl } from "@connectrpc/connect";
import { cutPage, defaultPageSize, type PageTokens } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { toSecurityEventMessage } from "../adapters/proto/security-event.ts";
import type { SecurityEventStore } from "../application/ports/security-event-store.ts";

/** Lists security events, newest first. Safe to retry. */
export function listSecurityEvents(on: {
  readonly events: SecurityEventStore;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof UserService.method.listSecurityEvents> {
  return async ({ pageSize, pageToken, userId }) => {
    const query = ["ListSecurityEvents", userId];
    const limit = pageSize || defaultPageSize;
    const after = pageToken === "" ? undefined : on.pageTokens.open<string>(pageToken, query);
    const { page, last } = cutPage(await on.events.list({ userId: userId || undefined, after }, limit + 1), limit);
    return {
      securityEvents: page.map(toSecurityEventMessage),
      nextPageToken: last === undefined ? "" : on.pageTokens.seal(last.eventId, query),
    };
  };
}
