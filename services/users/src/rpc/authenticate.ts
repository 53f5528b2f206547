import type { MethodImpl } from "@connectrpc/connect";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { accessTokenSeconds, type Clock, signAccessToken } from "@shop/platform";
import { wrongCredentials } from "../domain/errors.ts";
import type { Passwords } from "../passwords.ts";
import type { SignInLimits } from "../sign-in-limits.ts";
import type { SigningKeyStore } from "../store/signing-key-store.ts";
import type { UserStore } from "../store/user-store.ts";

/** Exchanges a name and a password for an access token. Safe to retry. */
export function authenticate(on: {
  readonly users: UserStore;
  readonly passwords: Passwords;
  readonly limits: SignInLimits;
  readonly signingKeys: SigningKeyStore;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.authenticate> {
  return async (request, context) => {
    const user = await on.limits.attempt(request.username, context, async () => {
      const found = await on.users.findByUsername(request.username);
      return (await on.passwords.verify(found?.passwordHash, request.password)) ? found : undefined;
    });
    if (user === undefined) throw wrongCredentials();
    return {
      userId: user.userId,
      accessToken: await signAccessToken(on.signingKeys.current, user, on.clock()),
      tokenType: "Bearer",
      expiresInSeconds: accessTokenSeconds,
    };
  };
}
