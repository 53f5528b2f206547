/**
 * The line about the first administrator. The users service creates one only if none exists, so a sign-in shows whether our
 * password is the administrator's.
 */
export async function describeAdmin(
  gatewayUrl: string,
  username: string,
  password: string,
  { generated }: { readonly generated: boolean },
): Promise<string> {
  const response = await fetch(`${gatewayUrl}/authenticate`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username, password }),
    signal: AbortSignal.timeout(10_000),
  });
  await response.arrayBuffer();
  if (response.ok) {
    return generated
      ? `${username} / ${password}   (generated now and shown only once)`
      : `${username}, with the password of ADMIN_PASSWORD`;
  }
  if (response.status !== 401) return `${username} (signing in to check the password answered ${response.status})`;
  return generated
    ? "exists already; its password is not stored here (npm run admin -- reset-password generates another)"
    : `exists already, but ${username} with the password of ADMIN_PASSWORD cannot sign in`;
}
