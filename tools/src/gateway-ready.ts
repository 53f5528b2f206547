import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { StartError } from "./start-error.ts";
import { lastLines, type SupervisedProcess } from "./supervised-process.ts";
import type { Print } from "./terminal.ts";
import { waitUntil } from "./wait.ts";

/** A shop is ready within this time, unless a service reports progress of a longer start. */
const readyTimeoutMs = 120_000;
const reportEveryMs = 10_000;
const answerTimeoutMs = 2_000;
/** After this many deaths of a service before the shop was ever ready, the start fails. */
const hopelessDeaths = 3;

/**
 * Waits until `GET /readyz` on the gateway is 200, and prints its answer every ten seconds: for two minutes, and for two
 * more whenever a service reports progress of its start (such as an upgrade that indexes all products again).
 * @param patient keeps waiting while a service dies repeatedly: in watch mode the developer will save again
 * @throws StartError with the last log lines of the services when it does not become ready
 */
export async function untilGatewayReady(
  gatewayUrl: string,
  services: readonly SupervisedProcess[],
  options: {
    readonly print: Print;
    readonly signal: AbortSignal;
    readonly patient: boolean;
    /** In milliseconds; two minutes by default. */
    readonly timeoutMs?: number;
  },
): Promise<void> {
  let answer = "no process listens there yet";
  const startedAt = Date.now();
  let nextReport = startedAt + reportEveryMs;
  const check = async () => {
    // A death was already printed.
    if (Date.now() > nextReport && services.every(({ pid }) => pid !== undefined)) {
      nextReport += reportEveryMs;
      options.print(`waiting for ${gatewayUrl}/readyz: ${answer}`);
    }
    const response = await readiness(gatewayUrl);
    if (response === undefined) return false;
    answer = response.slice(0, 300);
    return answer.startsWith("200 ");
  };
  const dying = () => services.find((service) => service.deaths >= hopelessDeaths);
  const { patient, timeoutMs = readyTimeoutMs } = options;
  const hopeless = () => {
    if (patient) return undefined;
    if (dying() !== undefined) return `${dying()!.name} dies repeatedly`;
    const lastProgress = Math.max(startedAt, ...services.map(({ progressAt }) => progressAt ?? 0));
    return Date.now() > lastProgress + timeoutMs
      ? `waited ${timeoutMs / 1000} s without the gateway being ready or a service reporting progress`
      : undefined;
  };
  try {
    await waitUntil(check, {
      what: "the gateway is ready",
      timeoutMs: Number.POSITIVE_INFINITY,
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

/**
 * The status and the body of `GET /readyz`, or undefined without an answer. Sent without node:http, which takes 14 MiB for as long as
 * the shop runs. The end of a body of HTTP/1.0 is the end of the connection.
 */
async function readiness(gatewayUrl: string): Promise<string | undefined> {
  const { hostname, port } = new URL(gatewayUrl);
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80) });
  socket.setTimeout(answerTimeoutMs, () => socket.destroy());
  socket.write(`GET /readyz HTTP/1.0\r\nHost: ${hostname}:${port}\r\n\r\n`);
  const answer = await text(socket).catch(() => "");
  const [, status, body] = /^HTTP\/1\.\d (\d{3}) [\s\S]*?\r\n\r\n([\s\S]*)$/.exec(answer) ?? [];
  return status === undefined ? undefined : `${status} ${body}`;
}
