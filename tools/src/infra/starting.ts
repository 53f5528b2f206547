import { type KeptProcess, lastLines, type ProcessSpec } from "../kept-process.ts";
import { StartError } from "../start-error.ts";
import { waitUntil } from "../wait.ts";
import type { Account } from "./account.ts";
import type { Credentials } from "./credentials.ts";

/** What each server's file gets to start its members with. */
export interface Starting {
  /** `<dataDir>`: a member keeps its data in `<dataDir>/<member>` and its log in `<dataDir>/logs/<member>.log`. */
  readonly dataDir: string;
  /** The starter's own. */
  readonly env: NodeJS.ProcessEnv;
  readonly accounts: readonly Account[];
  readonly credentials: Credentials;
  /** By member; none for what listens on a Unix socket. */
  readonly ports: Readonly<Record<string, readonly number[]>>;
  readonly signal: AbortSignal | undefined;
  readonly keep: (spec: Omit<ProcessSpec, "logFile">) => KeptProcess;
}

/** A server that answers. */
export interface StartedServer {
  /** Where it is for an account, with that account's credentials; as it was given, when it runs elsewhere. */
  urlFor(account: string): string;
  readonly members: readonly KeptProcess[];
}

/** A container's image may have to be pulled first. */
const dockerTimeoutMs = 600_000;
const binaryTimeoutMs = 60_000;
/** A member that dies this often before it ever answered is not going to. */
const hopelessDeaths = 3;

/**
 * Waits until a server that was just started answers.
 * @throws StartError with the last lines of its log when it does not, or dies again and again
 */
export async function untilReady(
  what: string,
  members: readonly KeptProcess[],
  check: () => Promise<boolean>,
  options: { readonly docker: boolean; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const hopeless = () => {
    const dead = members.find((member) => member.deaths >= hopelessDeaths);
    return dead === undefined ? undefined : `${dead.name} dies as soon as it is started`;
  };
  try {
    const timeoutMs = options.docker ? dockerTimeoutMs : binaryTimeoutMs;
    await waitUntil(check, { what, timeoutMs, signal: options.signal, hopeless });
  } catch (error) {
    options.signal?.throwIfAborted();
    const logs = members.map((member) => `--- ${member.logFile}\n${lastLines(member)}`).join("\n");
    throw new StartError(`${(error as Error).message}\n${logs}`);
  }
}
