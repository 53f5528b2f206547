import { invalidFields } from "@shop/core";
import { dictionary } from "@zxcvbn-ts/language-common";
import { passwordTooCommon } from "../domain/errors.ts";
import { opaqueString } from "../domain/opaque-string.ts";
import { usernameKey } from "../domain/user.ts";

/** In characters; the same as in the schema. */
const minLength = 8;
const common = new Set(dictionary["passwords-common"].filter((password) => password.length >= minLength));

/**
 * Checks the rules for new passwords that the schema can't express: long enough in the form in which it is compared, without control
 * characters, which input fields may drop (RFC 8264, 9.12), and, without case, neither a common password nor the account's name
 * (NIST SP 800-63B, 5.1.1.2). Throws INVALID_FIELDS or PASSWORD_TOO_COMMON with a violation of `field`.
 */
export function checkNewPassword(field: string, password: string, username: string): void {
  const compared = opaqueString(password);
  // A lone surrogate has no UTF-8 encoding, so passwords that differ only there would have equal hashes.
  if ([...compared].length < minLength || !compared.isWellFormed())
    throw invalidFields([{ field, description: `must be a text of at least ${minLength} characters` }]);
  if (/\p{Cc}/u.test(password)) throw invalidFields([{ field, description: "must not contain control characters" }]);
  const isName = usernameKey(compared) === usernameKey(username);
  if (isName || common.has(compared.toLowerCase())) throw passwordTooCommon(field);
}
