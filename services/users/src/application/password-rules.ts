import { invalidFields } from "@shop/core";
import { dictionary } from "@zxcvbn-ts/language-common";
import { passwordTooCommon } from "../domain/errors.ts";
import { opaqueString } from "../domain/opaque-string.ts";
import { usernameKey } from "../domain/user.ts";

/** In characters, as the schema has it. */
const minLength = 8;
/** The passwords that attackers try first, as far as they are long enough. */
const common = new Set(dictionary["passwords-common"].filter((password) => password.length >= minLength));

/**
 * What the schema can't say of a new password: it is long enough in the form in which it is compared, without control characters
 * (RFC 8264, 9.12: no field to sign in with can be relied on to pass them), not one of the most common ones, whatever its case, and
 * not the account's name (NIST SP 800-63B, 5.1.1.2). Throws INVALID_FIELDS or PASSWORD_TOO_COMMON, which blame `field`.
 */
export function checkNewPassword(field: string, password: string, username: string): void {
  const compared = opaqueString(password);
  // Half of a surrogate pair has no form in UTF-8: passwords that differ there would be one.
  if ([...compared].length < minLength || !compared.isWellFormed())
    throw invalidFields([{ field, description: `must be a text of ${minLength} characters at least` }]);
  if (/\p{Cc}/u.test(password)) throw invalidFields([{ field, description: "must not contain control characters" }]);
  const isName = usernameKey(compared) === usernameKey(username);
  if (isName || common.has(compared.toLowerCase())) throw passwordTooCommon(field);
}
