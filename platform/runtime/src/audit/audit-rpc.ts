import type { MessageInitShape } from "@bufbuild/protobuf";
import { invalidFields, type PageTokens } from "@shop/core";
import {
  type AuditFindingSchema,
  RepairOutcome,
  type RepairSchema,
  type RepairTarget,
} from "@shop/gen/shop/common/v1/audit_pb";
import { type Audit, auditFor, type Finding } from "./audit.ts";

/** Well within the time that a gateway waits for an answer. */
const answerWithinMs = 2_000;

/** Answers with a part of an audit, starting at the token of the previous part. Safe to retry. */
export async function answerAudit<Place>(
  on: { readonly audit: Audit<Place>; readonly pageTokens: PageTokens },
  pageToken: string,
): Promise<{
  findings: MessageInitShape<typeof AuditFindingSchema>[];
  checked: Record<string, number>;
  nextPageToken: string;
}> {
  const query = ["Audit", on.audit.name];
  const from = pageToken === "" ? undefined : on.pageTokens.open<Place>(pageToken, query);
  const { findings, checked, next } = await auditFor(on.audit, from, answerWithinMs);
  return {
    findings: findings.map((finding) => ({ ...finding })),
    checked: { ...checked },
    nextPageToken: next === undefined ? "" : on.pageTokens.seal(next, query),
  };
}

/** The repair of a finding. */
export interface Remedy {
  /** What it does, in the infinitive, for people. */
  readonly action: string;
  /** Safe to repeat, and to run concurrently with writers. */
  apply(): Promise<void>;
}

/**
 * Repairs the violations among `targets`, or reports what it would do. Targets without a violation are unchanged. Safe to
 * retry.
 */
export async function repairFindings(
  on: { readonly audit: Pick<Audit, "invariants" | "find">; remedyFor(finding: Finding): Remedy | undefined },
  targets: readonly RepairTarget[],
  dryRun: boolean,
): Promise<MessageInitShape<typeof RepairSchema>[]> {
  const unknown = targets.flatMap(({ invariant }, index) =>
    on.audit.invariants.includes(invariant) ? [] : [`targets[${index}].invariant`],
  );
  if (unknown.length > 0) {
    throw invalidFields(unknown.map((field) => ({ field, description: "is not an invariant of this service" })));
  }
  const repairs: MessageInitShape<typeof RepairSchema>[] = [];
  for (const target of targets) {
    const finding = await on.audit.find(target);
    const remedy = finding?.repairable ? on.remedyFor(finding) : undefined;
    if (finding === undefined) repairs.push({ target, outcome: RepairOutcome.SOUND });
    else if (remedy === undefined) repairs.push({ target, outcome: RepairOutcome.NOT_REPAIRABLE });
    else if (dryRun) repairs.push({ target, outcome: RepairOutcome.WOULD_REPAIR, action: remedy.action });
    else {
      await remedy.apply();
      repairs.push({ target, outcome: RepairOutcome.REPAIRED, action: remedy.action });
    }
  }
  return repairs;
}
