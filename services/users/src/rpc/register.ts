import type { MethodImpl } from "@connectrpc/connect";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { type Clock, clientAddressOf, invalidFields, newId } from "@shop/platform";
import { isReservedName } from "../domain/reserved-names.ts";
import { newUser } from "../domain/user.ts";
import { checkNewPassword } from "../password-rules.ts";
import type { Passwords } from "../passwords.ts";
import type { SignInLimits } from "../sign-in-limits.ts";
import type { UserStore } from "../store/user-store.ts";

/** Creates an account. A retry after a lost answer is USERNAME_TAKEN; signing in then tells whether it was ours. */
export function register(on: {
  readonly users: UserStore;
  readonly passwords: Passwords;
  readonly limits: SignInLimits;
  readonly clock: Clock;
  /** Of the first administrator. */
  readonly adminUsername: string;
}): MethodImpl<typeof UserService.method.register> {
  return async (request, context) => {
    await on.limits.countClient(context);
    if (isReservedName(request.username, [on.adminUsername])) {
      const description = "is a name of the shop's own, or looks like one: choose another";
      throw invalidFields([{ field: "username", description }]);
    }
    checkNewPassword("password", request.password, request.username);
    const userId = newId("user");
    const passwordHash = await on.passwords.hash(request.password, context.signal, {
      address: clientAddressOf(context),
      isKnown: false,
    });
    await on.users.insert(
      newUser({ userId, username: request.username, passwordHash, roles: ["customer"], time: on.clock() }),
    );
    return { userId };
  };
}
