import type { MethodImpl } from "@connectrpc/connect";
import { cutPage, defaultPageSize, type PageTokens } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { toUserProfile } from "../adapters/proto/user-profile.ts";
import type { UserStore } from "../application/ports/user-store.ts";

/** Lists accounts by name. Safe to retry. */
export function listUsers(on: {
  readonly users: UserStore;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof UserService.method.listUsers> {
  return async ({ pageSize, pageToken, usernamePrefix }) => {
    const query = ["ListUsers", usernamePrefix];
    const limit = pageSize || defaultPageSize;
    const after = pageToken === "" ? undefined : on.pageTokens.open<string>(pageToken, query);
    const { page, last } = cutPage(await on.users.list({ usernamePrefix, after }, limit + 1), limit);
    return {
      users: page.map(toUserProfile),
      nextPageToken: last === undefined ? "" : on.pageTokens.seal(last.username, query),
    };
  };
}
