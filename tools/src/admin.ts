/**
 * What to tell about the first admin, whom the users service creates only where there is none: so whether our password
 * is the admin's shows by signing in.
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
      ? `${username} / ${password}   (made up now and shown this once)`
      : `${username}, with the password of ADMIN_PASSWORD`;
  }
  if (response.status !== 401) return `${username} (signing in to check the password answered ${response.status})`;
  return generated
    ? "exists already; its password is not kept here (npm run admin -- reset-password makes another)"
    : `exists already, but ${username} with the password of ADMIN_PASSWORD cannot sign in`;
}
