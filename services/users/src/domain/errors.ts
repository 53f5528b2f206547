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

export function tooManyPasswordHashes(): DomainError {
  return new DomainError("resource_exhausted", "SIGN_IN_BUSY", "too many sign-ins at once, try again in a moment", {
    retryAfterMs: 1_000,
  });
}

/** One answer for whatever is wrong with it: a thief need not learn how far they got. */
export function refreshTokenInvalid(): DomainError {
  return new DomainError("unauthenticated", "REFRESH_TOKEN_INVALID", "the refresh token is not good: sign in again");
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
