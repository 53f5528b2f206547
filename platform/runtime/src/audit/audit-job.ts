import type { Clock, Job, Lease, Logger } from "@shop/core";
import { type Audit, type Finding, maxFindings, restedPart } from "./audit.ts";
import type { AuditReports } from "./audit-reports.ts";

const maxLogged = 20;
/** How often the job checks whether an audit is due. */
const checkIntervalMs = 30_000;

/**
 * The periodic audit: once per interval over all replicas, by the holder of the lease. The report is stored, and logged as an
 * error if an invariant is violated.
 */
export function auditJob<Place>(on: {
  readonly audit: Audit<Place>;
  readonly reports: AuditReports;
  readonly lease: Lease;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}): Job {
  const { audit, reports, lease, intervalMs, clock, log } = on;

  async function run(signal: AbortSignal): Promise<void> {
    const startTime = clock();
    const last = await reports.last();
    if (last !== undefined && startTime.getTime() - last.endTime.getTime() < intervalMs) return;

    const counts: Record<string, number> = Object.fromEntries(audit.invariants.map((invariant) => [invariant, 0]));
    const checked: Record<string, number> = {};
    const findings: Finding[] = [];
    let place: Place | undefined;
    do {
      const part = await restedPart(audit, place, signal);
      for (const finding of part.findings) {
        counts[finding.invariant] = (counts[finding.invariant] ?? 0) + 1;
        if (findings.length < maxFindings) findings.push(finding);
      }
      for (const [what, count] of Object.entries(part.checked)) checked[what] = (checked[what] ?? 0) + count;
      place = part.next;
      // Another process audits, or this one stops: report nothing.
      if (signal.aborted || !(await lease.acquire())) return;
    } while (place !== undefined);
    await reports.keep({ startTime, endTime: clock(), checked, counts, findings });
    if (findings.length === 0) log.info({ audit: audit.name, checked }, "the audit found nothing");
    else
      log.error(
        { audit: audit.name, checked, counts, findings: findings.slice(0, maxLogged) },
        "an invariant is broken",
      );
  }

  return { name: `audit-${audit.name}`, intervalMs: Math.min(intervalMs, checkIntervalMs), lease, run };
}
