import { DomainError } from "@shop/core";

export function usernameTaken(): DomainError {
  return new DomainError("already_exists", "USERNAME_TAKEN", "that username is taken");
}

/** The same for an unknown name and a wrong password, so that it does not reveal which names exist. */
export function wrongCredentials(): DomainError {
  return new DomainError("unauthenticated", "WRONG_CREDENTIALS", "the username or the password is wrong");
}

/** Only for a caller with the right password. */
export function accountDisabled(): DomainError {
  return new DomainError("permission_denied", "ACCOUNT_DISABLED", "the account is disabled: ask an administrator");
}

/** For a signed-in caller. */
export function wrongPassword(): DomainError {
  return new DomainError("permission_denied", "WRONG_PASSWORD", "the password is wrong");
}

/** For an access token that has not expired but whose session has ended. */
export function sessionEnded(): DomainError {
  return new DomainError("unauthenticated", "SESSION_ENDED", "the session has ended: sign in again");
}

export function passwordTooCommon(field: string): DomainError {
  return new DomainError(
    "invalid_argument",
    "PASSWORD_TOO_COMMON",
    "attackers try that password first: choose another",
    {
      violations: [{ field, description: "is one of the most common passwords, or the name of the account" }],
    },
  );
}

export function lastAdmin(): DomainError {
  return new DomainError("failed_precondition", "LAST_ADMIN", "the shop would be left without an administrator");
}

export function userChanged(userId: string, etag: string): DomainError {
  return new DomainError("aborted", "USER_CHANGED", "the account has changed since it was read: read it again", {
    metadata: { user_id: userId, etag },
  });
}

export function userNotFound(userId: string): DomainError {
  return new DomainError("not_found", "USER_NOT_FOUND", "there is no such user", { metadata: { user_id: userId } });
}

/** Sign-ins and registrations from one address, together. */
export function tooManySignIns(retryAfterMs: number): DomainError {
  return new DomainError("resource_exhausted", "SIGN_IN_RATE_EXCEEDED", "too many sign-ins from your address", {
    retryAfterMs,
  });
}

/** The same whether or not the name exists and the password is right. */
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
  return new DomainError("resource_exhausted", "SIGN_IN_BUSY", "too many concurrent sign-ins: try again soon", {
    retryAfterMs: 1_000,
  });
}

/** The same for every defect of a token, so that it tells an attacker nothing. */
export function refreshTokenInvalid(): DomainError {
  return new DomainError("unauthenticated", "REFRESH_TOKEN_INVALID", "the refresh token is invalid: sign in again");
}

export function sessionNotFound(sessionId: string): DomainError {
  return new DomainError("not_found", "SESSION_NOT_FOUND", "there is no such session", {
    metadata: { session_id: sessionId },
  });
}

export function userBusy(userId: string): DomainError {
  return new DomainError("aborted", "USER_BUSY", "the account kept changing: try again", {
    metadata: { user_id: userId },
    retryAfterMs: 100,
  });
}
