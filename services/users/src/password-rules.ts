import { dictionary } from "@zxcvbn-ts/language-common";
import { passwordTooCommon } from "./domain/errors.ts";
import { usernameKey } from "./domain/user.ts";

/** The passwords that attackers try first, as far as the schema lets them through: 8 characters and more. */
const common = new Set(dictionary["passwords-common"].filter((password) => password.length >= 8));

/**
 * What the schema can't say of a new password: it is not one of the most common ones, whatever its case, and not the account's
 * name (NIST SP 800-63B, 5.1.1.2). Throws PASSWORD_TOO_COMMON, which blames `field`.
 */
export function checkNewPassword(field: string, password: string, username: string): void {
  const isName = usernameKey(password) === usernameKey(username);
  if (isName || common.has(password.toLowerCase())) throw passwordTooCommon(field);
}
