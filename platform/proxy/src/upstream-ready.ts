import type { UpstreamService } from "./clients.ts";

const timeoutMs = 2_000;

/** Why no replica of an upstream is ready, by their `/readyz`; undefined if at least one is. */
export async function upstreamNotReady(upstream: UpstreamService | undefined): Promise<string | undefined> {
  if (upstream === undefined) return "a service has no upstream";
  const { service, urls } = upstream;
  const ready = urls.map(async (url) => {
    const { ok } = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(timeoutMs) });
    if (!ok) throw new Error(`${url} is not ready`);
  });
  return await Promise.any(ready).then(
    () => undefined,
    () => `${service.typeName} is not ready`,
  );
}
