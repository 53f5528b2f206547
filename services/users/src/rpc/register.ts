import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { type Clock, DomainError, invalidFields, newId } from "@shop/core";
import type { RegisterRequest, UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { clientAddressOf } from "@shop/http-port";
import { requestIdReused, requestUnsettled } from "@shop/rpc-server";
import { processNames } from "@shop/topology";
import { checkNewPassword } from "../application/password-rules.ts";
import type { Passwords } from "../application/ports/passwords.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import type { SignInLimits } from "../application/sign-in-limits.ts";
import { isReservedName } from "../domain/reserved-names.ts";
import { newUser, usernameKey } from "../domain/user.ts";

/**
 * Creates an account. Safe to retry with an idempotency key, which the account itself claims by a unique index. A retry without one is
 * USERNAME_TAKEN.
 */
export function register(on: {
  readonly users: UserStore;
  readonly passwords: Passwords;
  readonly limits: SignInLimits;
  readonly clock: Clock;
  /** The name of the first administrator, which is reserved. */
  readonly adminUsername: string;
}): MethodImpl<typeof UserService.method.register> {
  /**
   * The account that an earlier request with the same key created. The request is the same if its password matches, which is checked and
   * counted like a sign-in: a stored hash of the request would be easier to guess a password from than the account's own hash.
   */
  async function repeated(request: RegisterRequest, context: HandlerContext): Promise<string | undefined> {
    const { requestId, username, password } = request;
    const made = requestId === "" ? undefined : await on.users.findByRequest(requestId);
    if (made === undefined) return undefined;
    if (usernameKey(made.username) !== usernameKey(username)) throw requestIdReused(requestId);
    const userId = await on.limits.attempt(username, context, async (isKnown) => {
      const caller = { address: clientAddressOf(context), isKnown };
      const { matches } = await on.passwords.verify(made.passwordHash, password, context.signal, caller);
      return matches ? made.userId : undefined;
    });
    if (userId === undefined) throw requestIdReused(requestId);
    return userId;
  }

  async function create(request: RegisterRequest, context: HandlerContext): Promise<string> {
    await on.limits.countClient(context);
    if (isReservedName(request.username, [on.adminUsername, ...processNames])) {
      const description = "is reserved, or looks like a reserved name: choose another";
      throw invalidFields([{ field: "username", description }]);
    }
    checkNewPassword("password", request.password, request.username);
    const before = await repeated(request, context);
    if (before !== undefined) return before;

    const userId = newId("user");
    const passwordHash = await on.passwords.hash(request.password, context.signal, {
      address: clientAddressOf(context),
      isKnown: false,
    });
    const user = newUser({
      userId,
      username: request.username,
      passwordHash,
      roles: ["customer"],
      time: on.clock(),
    });
    let taken: unknown;
    const outcome = await on.users.insert(user, request.requestId || undefined).catch((error: unknown) => {
      // A concurrent request with the same key may have taken the name.
      if (request.requestId === "" || !(error instanceof DomainError)) throw error;
      taken = error;
      return "request_made" as const;
    });
    if (outcome === "inserted") return userId;
    const first = await repeated(request, context);
    if (first === undefined) throw taken ?? requestUnsettled();
    return first;
  }

  /** The last call in progress of each key. */
  const inProgress = new Map<string, Promise<unknown>>();

  return async (request, context) => {
    const { requestId } = request;
    if (requestId === "") return { userId: await create(request, context) };
    // One at a time: concurrent password checks count as failures until they succeed.
    const before = inProgress.get(requestId) ?? Promise.resolve();
    const call = before.catch(() => {}).then(() => create(request, context));
    inProgress.set(requestId, call);
    try {
      return { userId: await call };
    } finally {
      if (inProgress.get(requestId) === call) inProgress.delete(requestId);
    }
  };
}
