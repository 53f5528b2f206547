import { StartError } from "../start-error.ts";
import { lastLines, type ProcessSpec, type SupervisedProcess } from "../supervised-process.ts";
import { waitUntil } from "../wait.ts";
import type { Account } from "./account.ts";
import type { Credentials } from "./credentials.ts";

/** The inputs for starting a server's members. */
export interface Starting {
  /** `<dataDir>`: a member keeps its data in `<dataDir>/<member>` and its log in `<dataDir>/logs/<member>.log`. */
  readonly dataDir: string;
  /** The starter's own. */
  readonly env: NodeJS.ProcessEnv;
  readonly accounts: readonly Account[];
  readonly credentials: Credentials;
  /** By member; empty for a Unix socket. */
  readonly ports: Readonly<Record<string, readonly number[]>>;
  readonly signal: AbortSignal | undefined;
  readonly keep: (spec: Omit<ProcessSpec, "logFile">) => SupervisedProcess;
}

/** A server whose processes run. */
export interface LaunchedServer {
  /** Its URL with an account's credentials; the configured URL when it runs elsewhere. */
  urlFor(account: string): string;
  /** Waits until it answers. @throws StartError as {@link untilReady} */
  answers(): Promise<void>;
}

/** A container's image may have to be pulled first. */
const dockerTimeoutMs = 600_000;
const binaryTimeoutMs = 60_000;
/** After this many deaths of a member before it ever answered, the start fails. */
const hopelessDeaths = 3;

/**
 * Waits until a server that was just started answers.
 * @throws StartError with the last lines of its log when it does not, or dies repeatedly
 */
export async function untilReady(
  what: string,
  members: readonly SupervisedProcess[],
  check: () => Promise<boolean>,
  options: { readonly docker: boolean; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const hopeless = () => {
    const dead = members.find((member) => member.deaths >= hopelessDeaths);
    return dead === undefined ? undefined : `${dead.name} dies immediately after each start`;
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
