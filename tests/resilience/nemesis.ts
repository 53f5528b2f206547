import { setTimeout as delay } from "node:timers/promises";
import type { Fleet } from "./fleet.ts";
import type { Random } from "./random.ts";

/** Whom a fault may hit. Which mongod is the primary shows when its time comes. */
export const victims = [
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
export type Victim = (typeof victims)[number];

/** A fault of the schedule. */
export interface Fault {
  /** From the beginning of the faults. */
  readonly atMs: number;
  readonly victim: Victim;
  /** `kill`: SIGKILL, and started again after `forMs`; `pause`: SIGSTOP, and SIGCONT after `forMs`. */
  readonly action: "kill" | "pause";
  readonly forMs: number;
}

/** A fault that happened. Times are of the system's clock, in milliseconds. */
export interface Injected extends Fault {
  /** The process that it hit. */
  readonly process: string;
  readonly hitAt: number;
  /** When it was started again, or continued. */
  readonly healedAt: number;
  /** When it answered that it is ready; undefined for servers, and for those that were hit again before. */
  readonly readyAt: number | undefined;
}

const leastGapMs = 800;
const mostGapMs = 4_000;
const downMs = { least: 100, most: 3_000 };
const pausedMs = { least: 1_000, most: 6_000 };
const pauseShare = 0.25;
/** The next member of a cluster is hit only after the last one had so long to catch up: two at once is another test. */
const catchUpMs = 4_000;

/** The schedule for a seed: every victim is hit once before any is hit again. */
export function planFaults(random: Random, durationMs: number): Fault[] {
  const faults: Fault[] = [];
  const busyUntil = new Map<string, number>();
  let deck: Victim[] = [];
  let atMs = 1_000;
  while (atMs < durationMs) {
    if (deck.length === 0) deck = random.shuffled(victims);
    const index = deck.findIndex((victim) => (busyUntil.get(clusterOf(victim)) ?? 0) <= atMs);
    if (index >= 0) {
      const [victim] = deck.splice(index, 1);
      const action = random.chance(pauseShare) ? "pause" : "kill";
      const { least, most } = action === "pause" ? pausedMs : downMs;
      const forMs = random.integer(least, most);
      faults.push({ atMs, victim: victim!, action, forMs });
      busyUntil.set(clusterOf(victim!), atMs + forMs + catchUpMs);
    }
    atMs += random.integer(leastGapMs, mostGapMs);
  }
  return faults;
}

function clusterOf(victim: Victim): string {
  return /^(mongodb|nats)/.exec(victim)?.[0] ?? victim;
}

/** `12.3 s: kill orders-1 for 0.8 s` */
export function describeFault({ atMs, action, victim, forMs }: Fault): string {
  return `${(atMs / 1000).toFixed(1)} s: ${action} ${victim} for ${(forMs / 1000).toFixed(1)} s`;
}

/** What a run of the nemesis did, and what died without it. */
export interface Havoc {
  readonly injected: readonly Injected[];
  /** Processes that ended though nobody killed them. Each was started again. */
  readonly diedAlone: readonly string[];
  /** When the last fault hit. */
  readonly lastHitAt: number;
}

/** Carries out a schedule; resolves when everything runs again. */
export async function unleash(fleet: Fleet, faults: readonly Fault[], log: (line: string) => void): Promise<Havoc> {
  const beganAt = Date.now();
  const down = new Set<string>();
  const diedAlone: string[] = [];

  async function inject(fault: Fault): Promise<Injected | undefined> {
    await delay(fault.atMs - (Date.now() - beganAt));
    const name = await processOf(fleet, fault.victim);
    const target = name === undefined ? undefined : fleet.process(name);
    if (target?.pid === undefined || down.has(target.name)) {
      log(`${describeFault(fault)}: passed over, it does not run`);
      return undefined;
    }
    log(`${describeFault(fault)}${target.name === fault.victim ? "" : ` (${target.name})`}`);
    down.add(target.name);
    const { pid } = target;
    const hitAt = Date.now();
    try {
      if (fault.action === "kill") {
        target.kill("SIGKILL");
        await delay(fault.forMs);
        while (target.pid === pid) await delay(10);
        await target.start();
      } else {
        target.kill("SIGSTOP");
        await delay(fault.forMs);
      }
    } finally {
      if (fault.action === "pause") target.kill("SIGCONT");
      down.delete(target.name);
    }
    const healedAt = Date.now();
    const isService = !/^(mongodb|nats|redis)/.test(target.name);
    const ready = isService && (await fleet.untilReady(target.name, AbortSignal.timeout(30_000)));
    return { ...fault, process: target.name, hitAt, healedAt, readyAt: ready ? Date.now() : undefined };
  }

  const watch = setInterval(() => {
    for (const candidate of fleet.processes) {
      if (candidate.pid !== undefined || down.has(candidate.name)) continue;
      log(`${candidate.name} died, and nobody killed it`);
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

async function processOf(fleet: Fleet, victim: Victim): Promise<string | undefined> {
  if (!victim.startsWith("mongodb")) return victim;
  const members = await fleet.replicaSet();
  return victim === "mongodb-primary" ? members?.[0] : members?.[1];
}
