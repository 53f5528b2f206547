import { setTimeout as delay } from "node:timers/promises";

/** A place where the data break an invariant. */
export interface Finding {
  readonly invariant: string;
  /** The id of what breaks it. */
  readonly subject: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  /** Whether a remedy is known. */
  readonly repairable: boolean;
}

/** What a finding is about. */
export type FindingTarget = Pick<Finding, "invariant" | "subject">;

/** A part of an audit, small enough to hold up nobody. */
export interface AuditPart<Place> {
  readonly findings: readonly Finding[];
  /** How much was checked, by what it is. */
  readonly checked: Readonly<Record<string, number>>;
  /** Where the next part begins; undefined when this was the last. */
  readonly next: Place | undefined;
}

/** Invariants over live data. Places are plain JSON, so that somebody else can go on. */
export interface Audit<Place = unknown> {
  readonly name: string;
  /** All that it can find. */
  readonly invariants: readonly string[];
  /** Checks a part, from the beginning when no place is given. What is on its way is no finding. */
  part(place: Place | undefined): Promise<AuditPart<Place>>;
  /** Checks one invariant of one subject again; undefined when it holds. */
  find(target: FindingTarget): Promise<Finding | undefined>;
}

/** So many findings end a part early, and are kept of an audit; more are only counted. */
export const maxFindings = 1_000;

/** A part, and before the next one a rest of the same length: live traffic has the database to itself half of the time at least. */
export async function restedPart<Place>(
  audit: Audit<Place>,
  place: Place | undefined,
  signal?: AbortSignal,
): Promise<AuditPart<Place>> {
  const startedAt = performance.now();
  const part = await audit.part(place);
  if (part.next !== undefined) await delay(performance.now() - startedAt, undefined, { signal }).catch(() => {});
  return part;
}

/** Parts and their rests, for at most `budgetMs` and the part that runs then. */
export async function auditFor<Place>(
  audit: Audit<Place>,
  from: Place | undefined,
  budgetMs: number,
): Promise<AuditPart<Place>> {
  const endsAt = performance.now() + budgetMs;
  const findings: Finding[] = [];
  const checked: Record<string, number> = {};
  for (let place = from; ; ) {
    const part = await restedPart(audit, place);
    findings.push(...part.findings);
    for (const [what, count] of Object.entries(part.checked)) checked[what] = (checked[what] ?? 0) + count;
    if (part.next === undefined || performance.now() >= endsAt || findings.length >= maxFindings) {
      return { findings, checked, next: part.next };
    }
    place = part.next;
  }
}
