/**
 * A password in the form in which it is compared, by the profile OpaqueString (RFC 8265, 4.2, as NIST SP 800-63B asks for):
 * every kind of blank is a space, and characters that keyboards compose differently are the same (NFC). Case stays.
 */
export function opaqueString(password: string): string {
  return password.replace(/\p{Zs}/gu, " ").normalize("NFC");
}
