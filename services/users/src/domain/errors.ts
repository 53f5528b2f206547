import { DomainError } from "@shop/platform";

export function usernameTaken(): DomainError {
  return new DomainError("already_exists", "USERNAME_TAKEN", "that username is taken");
}

/** One answer for an unknown name and for a wrong password: it must not tell which names exist. */
export function wrongCredentials(): DomainError {
  return new DomainError("unauthenticated", "WRONG_CREDENTIALS", "the username or the password is wrong");
}

export function userNotFound(userId: string): DomainError {
  return new DomainError("not_found", "USER_NOT_FOUND", "there is no such user", { metadata: { user_id: userId } });
}

/** From one address, sign-ins and registrations together. */
export function tooManySignIns(retryAfterMs: number): DomainError {
  return new DomainError("resource_exhausted", "SIGN_IN_RATE_EXCEEDED", "too many sign-ins from your address", {
    retryAfterMs,
  });
}

/** Whether the name exists and the password is right, it says nothing of. */
export function tooManyFailures(retryAfterMs: number): DomainError {
  return new DomainError(
    "resource_exhausted",
    "SIGN_IN_SLOWED_DOWN",
    "too many failed sign-ins: wait before the next",
    {
      retryAfterMs,
    },
  );
}

export function tooManyPasswordHashes(): DomainError {
  return new DomainError("resource_exhausted", "SIGN_IN_BUSY", "too many sign-ins at once, try again in a moment", {
    retryAfterMs: 1_000,
  });
}
