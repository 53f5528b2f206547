import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { type Clock, DomainError, invalidFields, newId } from "@shop/core";
import type { RegisterRequest, UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { clientAddressOf } from "@shop/http-port";
import { requestIdReused, requestUnsettled } from "@shop/rpc-server";
import { processNames } from "@shop/topology";
import type { Passwords } from "../adapters/crypto/passwords.ts";
import type { UserStore } from "../adapters/mongo/user-store.ts";
import { checkNewPassword } from "../application/password-rules.ts";
import type { SignInLimits } from "../application/sign-in-limits.ts";
import { isReservedName } from "../domain/reserved-names.ts";
import { newUser, usernameKey } from "../domain/user.ts";

/**
 * Creates an account. Safe to retry when the request is named: the account itself is the claim on the name. A retry without a name
 * is USERNAME_TAKEN; signing in then tells whether it was ours.
 */
export function register(on: {
  readonly users: UserStore;
  readonly passwords: Passwords;
  readonly limits: SignInLimits;
  readonly clock: Clock;
  /** Of the first administrator. */
  readonly adminUsername: string;
}): MethodImpl<typeof UserService.method.register> {
  /**
   * The account that the request made before, if it did. Whether it asks for the same its password tells, which is checked and
   * counted as in a sign-in: nothing is kept that would be easier to guess from than the account's own hash.
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

  async function make(request: RegisterRequest, context: HandlerContext): Promise<string> {
    await on.limits.countClient(context);
    if (isReservedName(request.username, [on.adminUsername, ...processNames])) {
      const description = "is a name of the shop's own, or looks like one: choose another";
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
      // Perhaps by the same request, made at the same moment.
      if (request.requestId === "" || !(error instanceof DomainError)) throw error;
      taken = error;
      return "request_made" as const;
    });
    if (outcome === "inserted") return userId;
    const first = await repeated(request, context);
    if (first === undefined) throw taken ?? requestUnsettled();
    return first;
  }

  /** The last call of each name that is under way. */
  const underWay = new Map<string, Promise<unknown>>();

  return async (request, context) => {
    const { requestId } = request;
    if (requestId === "") return { userId: await make(request, context) };
    // One after the other: passwords that are compared at once count as failures until they have turned out to be right.
    const before = underWay.get(requestId) ?? Promise.resolve();
    const call = before.catch(() => {}).then(() => make(request, context));
    underWay.set(requestId, call);
    try {
      return { userId: await call };
    } finally {
      if (underWay.get(requestId) === call) underWay.delete(requestId);
    }
  };
}
