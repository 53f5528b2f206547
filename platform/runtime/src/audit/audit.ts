import { setTimeout as delay } from "node:timers/promises";

/** A violation of an invariant in the data. */
export interface Finding {
  readonly invariant: string;
  /** The id of the document that violates it. */
  readonly subject: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  /** Whether it can be repaired. */
  readonly repairable: boolean;
}

/** The subject of a finding. */
export type FindingTarget = Pick<Finding, "invariant" | "subject">;

/** A part of an audit, small enough not to delay other work. */
export interface AuditPart<Place> {
  readonly findings: readonly Finding[];
  /** The number of checked items, by kind. */
  readonly checked: Readonly<Record<string, number>>;
  /** Where the next part begins; undefined after the last one. */
  readonly next: Place | undefined;
}

/** An audit of invariants over live data. Places are plain JSON, so that another process can continue. */
export interface Audit<Place = unknown> {
  readonly name: string;
  /** All invariants that it checks. */
  readonly invariants: readonly string[];
  /** Checks a part, from the beginning without a place. Changes in progress are not findings. */
  part(place: Place | undefined): Promise<AuditPart<Place>>;
  /** Checks one invariant of one subject again; undefined if it holds. */
  find(target: FindingTarget): Promise<Finding | undefined>;
}

/** A part ends early at this number of findings, and an audit keeps as many; further ones are only counted. */
export const maxFindings = 1_000;

/** Runs a part, then pauses for the same length, so that live traffic has the database to itself at least half of the time. */
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

/** Runs parts and pauses for at most `budgetMs`, plus the part that runs then. */
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
