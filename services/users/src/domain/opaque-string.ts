/**
 * Normalizes a password for comparing, by the profile OpaqueString (RFC 8265, 4.2, as NIST SP 800-63B recommends): every kind of blank
 * becomes a space, and characters that keyboards compose differently become equal (NFC). Case is kept.
 */
export function opaqueString(password: string): string {
  return password.replace(/\p{Zs}/gu, " ").normalize("NFC");
}
