import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import type { UpstreamService } from "./clients.ts";

const timeoutMs = 2_000;

/** Why no replica of an upstream is ready, by their `/readyz`; undefined if at least one is. */
export async function upstreamNotReady(upstream: UpstreamService | undefined): Promise<string | undefined> {
  if (upstream === undefined) return "a service has no upstream";
  const { service, urls } = upstream;
  return await Promise.any(urls.map(requireReady)).then(
    () => undefined,
    () => `${service.typeName} is not ready`,
  );
}

/** By node:http on a connection of its own: `fetch` would take 15 MiB of memory for as long as the process runs. */
async function requireReady(url: string): Promise<void> {
  const request = get(`${url}/readyz`, { agent: false, signal: AbortSignal.timeout(timeoutMs) });
  // Also for errors after the head has arrived.
  request.on("error", () => {});
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  answer.on("error", () => {}).resume();
  if (answer.statusCode !== 200) throw new Error(`${url} is not ready`);
}
