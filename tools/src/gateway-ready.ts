import { type KeptProcess, lastLines } from "./kept-process.ts";
import { StartError } from "./start-error.ts";
import type { Print } from "./terminal.ts";
import { waitUntil } from "./wait.ts";

const readyTimeoutMs = 120_000;
const progressEveryMs = 5_000;
/** A service that dies this often before the shop was ever ready is not going to make it. */
const hopelessDeaths = 3;

/**
 * Waits until `GET /readyz` on the gateway is 200, saying now and then what it answers instead.
 * @param patient keeps waiting though a service dies again and again: in watch mode somebody is about to mend it
 * @throws StartError with the last log lines of the services when it does not become ready
 */
export async function untilGatewayReady(
  gatewayUrl: string,
  services: readonly KeptProcess[],
  options: { readonly print: Print; readonly signal: AbortSignal; readonly patient: boolean },
): Promise<void> {
  let answer = "nothing listens there yet";
  let nextProgress = Date.now() + progressEveryMs;
  const check = async () => {
    // Of one that has died, that was said.
    if (Date.now() > nextProgress && services.every(({ pid }) => pid !== undefined)) {
      nextProgress += progressEveryMs;
      options.print(`waiting for ${gatewayUrl}/readyz: ${answer}`);
    }
    const timeout = AbortSignal.timeout(2_000);
    const response = await fetch(`${gatewayUrl}/readyz`, { signal: timeout }).catch(() => undefined);
    if (response === undefined) return false;
    answer = `${response.status} ${(await response.text()).slice(0, 300)}`;
    return response.status === 200;
  };
  const dying = () => services.find((service) => service.deaths >= hopelessDeaths);
  const hopeless = () =>
    options.patient || dying() === undefined ? undefined : `${dying()!.name} dies again and again`;
  try {
    const timeoutMs = options.patient ? Number.POSITIVE_INFINITY : readyTimeoutMs;
    await waitUntil(check, {
      what: "the gateway is ready",
      timeoutMs,
      everyMs: 50,
      signal: options.signal,
      hopeless,
    });
  } catch (error) {
    options.signal.throwIfAborted();
    const guilty = dying();
    const shown = guilty === undefined ? services : [guilty];
    const logs = shown.map((service) => `--- the end of ${service.logFile}\n${lastLines(service)}`).join("\n");
    const why = guilty === undefined ? `${(error as Error).message} (${answer})` : (error as Error).message;
    throw new StartError(`${why}\n${logs}`);
  }
}
