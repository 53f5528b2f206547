import type { UpstreamService } from "./clients.ts";

const timeoutMs = 2_000;

/** Why no replica of a neighbour is ready, as its `/readyz` tells; undefined when one is, which is enough. */
export async function upstreamNotReady(neighbour: UpstreamService | undefined): Promise<string | undefined> {
  if (neighbour === undefined) return "nothing says where a service is";
  const { service, urls } = neighbour;
  const ready = urls.map(async (url) => {
    const { ok } = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(timeoutMs) });
    if (!ok) throw new Error(`${url} is not ready`);
  });
  return await Promise.any(ready).then(
    () => undefined,
    () => `${service.typeName} is not ready`,
  );
}
