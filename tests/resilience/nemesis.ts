import { setTimeout as delay } from "node:timers/promises";
import type { Fleet } from "./fleet.ts";
import type { LinkFault } from "./link.ts";
import type { Random } from "./random.ts";

/** Processes that a fault may hit. The primary mongod is determined when the fault begins. */
const processes = [
  "orders-1",
  "orders-2",
  "inventory-1",
  "inventory-2",
  "users",
  "gateway",
  "mongodb-primary",
  "mongodb-secondary",
  "nats-1",
  "nats-2",
  "nats-3",
  "redis",
] as const;

/** Links that a fault may hit. */
const links = [
  "gateway>orders-1",
  "gateway>inventory-2",
  "orders-2>inventory",
  "orders-1>mongodb",
  "orders-2>mongodb",
  "inventory-2>mongodb",
  "orders-1>nats",
  "orders-2>nats",
  "inventory-1>nats",
  "inventory-1>redis",
] as const;

export const victims = [...processes, ...links] as const;
export type Victim = (typeof victims)[number];

/** Names for several victims. */
export const victimGroups: Readonly<Record<string, readonly Victim[]>> = {
  all: victims,
  orders: ["orders-1", "orders-2"],
  inventory: ["inventory-1", "inventory-2"],
  users: ["users"],
  gateway: ["gateway"],
  "mongo-primary": ["mongodb-primary"],
  "mongo-secondary": ["mongodb-secondary"],
  nats: ["nats-1", "nats-2", "nats-3"],
  redis: ["redis"],
  links,
};

/** A fault of the schedule. */
export interface Fault {
  /** Since the beginning of the faults. */
  readonly atMs: number;
  readonly victim: Victim;
  /**
   * `kill`: SIGKILL, and a restart after `forMs`; `pause`: SIGSTOP, and SIGCONT after `forMs`. `strand`, of MongoDB's
   * primary: its secondaries are killed, and after `forMs` so is it, before they come back without its last writes. Of a
   * link: see link.ts.
   */
  readonly action: "kill" | "pause" | "strand" | LinkFault["kind"];
  readonly forMs: number;
}

/** A fault that happened. Times are of the system's clock, in milliseconds. */
export interface Injected extends Fault {
  /** The process that it hit. */
  readonly process: string;
  readonly hitAt: number;
  /** When it was restarted, or resumed. */
  readonly healedAt: number;
  /** When it was ready; undefined for servers, and for processes that were hit again before. */
  readonly readyAt: number | undefined;
}

const gapMs = { least: 800, most: 4_000 };
const pauseShare = 0.25;
const strandShare = 0.25;
interface Length {
  readonly least: number;
  readonly most: number;
}

/** The duration of a fault, by its action. */
const usualMs: Readonly<Record<Fault["action"], Length>> = {
  kill: { least: 100, most: 3_000 },
  pause: { least: 1_000, most: 6_000 },
  strand: { least: 300, most: 1_200 },
  slow: { least: 3_000, most: 8_000 },
  reset: { least: 100, most: 2_000 },
  cut: { least: 1_000, most: 5_000 },
  deaf: { least: 1_000, most: 5_000 },
  mute: { least: 1_000, most: 5_000 },
};
/** The time that a cluster member has to catch up before the next one is hit: two at once is another test. */
const catchUpMs = 4_000;

/** The permitted faults of a run. */
export interface FaultChoice {
  /** All by default. */
  readonly victims?: readonly Victim[];
  /** By default all actions that apply to the victim. */
  readonly actions?: readonly Fault["action"][];
  /** By default the action's usual duration. */
  readonly forMs?: Length;
}

/** The schedule for a seed: every victim is hit once before any is hit again. */
export function planFaults(random: Random, durationMs: number, choice: FaultChoice = {}): Fault[] {
  const faults: Fault[] = [];
  const busyUntil = new Map<string, number>();
  let deck: Victim[] = [];
  let atMs = 1_000;
  while (atMs < durationMs) {
    if (deck.length === 0) deck = random.shuffled(choice.victims ?? victims);
    const index = deck.findIndex((victim) => (busyUntil.get(clusterOf(victim)) ?? 0) <= atMs);
    if (index >= 0) {
      const [victim] = deck.splice(index, 1);
      const action = chooseAction(random, victim!, choice.actions);
      const { least, most } = choice.forMs ?? usualMs[action];
      const forMs = random.integer(least, most);
      faults.push({ atMs, victim: victim!, action, forMs });
      busyUntil.set(clusterOf(victim!), atMs + forMs + catchUpMs);
    }
    atMs += random.integer(gapMs.least, gapMs.most);
  }
  return faults;
}

function chooseAction(random: Random, victim: Victim, allowed: FaultChoice["actions"]): Fault["action"] {
  const usual = usualAction(random, victim);
  return allowed === undefined || allowed.includes(usual) ? usual : random.pick(allowed);
}

function usualAction(random: Random, victim: Victim): Fault["action"] {
  if (isLink(victim)) return random.pick(["slow", "reset", "cut", "deaf", "mute"]);
  if (random.chance(pauseShare)) return "pause";
  return victim === "mongodb-primary" && random.chance(strandShare) ? "strand" : "kill";
}

function isLink(victim: Victim): boolean {
  return victim.includes(">");
}

function clusterOf(victim: Victim): string {
  return /^(mongodb|nats)/.exec(victim)?.[0] ?? victim;
}

/** `12.3 s: kill orders-1 for 0.8 s` */
export function describeFault({ atMs, action, victim, forMs }: Fault): string {
  return `${(atMs / 1000).toFixed(1)} s: ${action} ${victim} for ${(forMs / 1000).toFixed(1)} s`;
}

/** The latest return of the stranded primary. */
const electionWithinMs = 15_000;
/** Of every slow link: a call of ten round trips takes over a second. */
const slowness: LinkFault = { kind: "slow", delayMs: 50, jitterMs: 100, bytesPerSecond: 500_000 };

/** The injected faults, and processes that died without one. */
export interface FaultLog {
  readonly injected: readonly Injected[];
  /** Processes that ended without a fault. Each was restarted. */
  readonly diedAlone: readonly string[];
  /** The time of the last fault. */
  readonly lastHitAt: number;
}

/** Executes a schedule; resolves when every process runs again. */
export async function injectFaults(
  fleet: Fleet,
  faults: readonly Fault[],
  log: (line: string) => void,
): Promise<FaultLog> {
  const beganAt = Date.now();
  const down = new Set<string>();
  const diedAlone: string[] = [];

  async function inject(fault: Fault): Promise<Injected | undefined> {
    await delay(fault.atMs - (Date.now() - beganAt));
    if (isLink(fault.victim)) return await breakLink(fault);
    const [name, ...others] = await processesOf(fleet, fault.victim);
    const target = name === undefined ? undefined : fleet.process(name);
    if (target?.pid === undefined || down.has(target.name)) {
      log(`${describeFault(fault)}: skipped, it does not run`);
      return undefined;
    }
    log(`${describeFault(fault)}${target.name === fault.victim ? "" : ` (${target.name})`}`);
    const struck = [target.name, ...(fault.action === "strand" ? others : [])];
    for (const each of struck) down.add(each);
    const hitAt = Date.now();
    try {
      if (fault.action === "pause") {
        target.kill("SIGSTOP");
        await delay(fault.forMs);
      } else if (fault.action === "strand") {
        await Promise.all(others.map(kill));
        await delay(fault.forMs);
        await kill(target.name);
        await Promise.all(others.map((other) => fleet.process(other).start()));
        const inTime = AbortSignal.timeout(electionWithinMs);
        while (!inTime.aborted && (await fleet.replicaSet()) === undefined) await delay(50);
        await target.start();
      } else {
        await kill(target.name);
        await delay(fault.forMs);
        await target.start();
      }
    } finally {
      if (fault.action === "pause") target.kill("SIGCONT");
      for (const each of struck) down.delete(each);
    }
    const healedAt = Date.now();
    const isService = !/^(mongodb|nats|redis)/.test(target.name);
    const ready = isService && (await fleet.untilReady(target.name, AbortSignal.timeout(30_000)));
    return { ...fault, process: target.name, hitAt, healedAt, readyAt: ready ? Date.now() : undefined };
  }

  async function kill(name: string): Promise<void> {
    const victim = fleet.process(name);
    const { pid } = victim;
    victim.kill("SIGKILL");
    while (victim.pid !== undefined && victim.pid === pid) await delay(10);
  }

  async function breakLink(fault: Fault): Promise<Injected> {
    log(describeFault(fault));
    const hitAt = Date.now();
    fleet.breakLink(fault.victim, fault.action === "slow" ? slowness : { kind: fault.action as "cut" });
    await delay(fault.forMs);
    fleet.breakLink(fault.victim);
    return { ...fault, process: fault.victim, hitAt, healedAt: Date.now(), readyAt: undefined };
  }

  const watch = setInterval(() => {
    for (const candidate of fleet.processes) {
      if (candidate.pid !== undefined || down.has(candidate.name)) continue;
      log(`${candidate.name} died without a fault`);
      diedAlone.push(candidate.name);
      void candidate.start();
    }
  }, 250);
  try {
    const outcomes = await Promise.all(faults.map(inject));
    const injected = outcomes.filter((outcome) => outcome !== undefined);
    return { injected, diedAlone, lastHitAt: Math.max(beganAt, ...injected.map(({ hitAt }) => hitAt)) };
  } finally {
    clearInterval(watch);
  }
}

/** The processes that a fault hits: the victim first; for MongoDB then the others. Empty while they can't be determined. */
async function processesOf(fleet: Fleet, victim: Victim): Promise<readonly string[]> {
  if (!victim.startsWith("mongodb")) return [victim];
  const [primary, ...secondaries] = (await fleet.replicaSet()) ?? [];
  if (primary === undefined) return [];
  return victim === "mongodb-primary" ? [primary, ...secondaries] : secondaries;
}
