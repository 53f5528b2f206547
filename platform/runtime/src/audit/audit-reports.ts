import type { GaugeSource } from "@shop/core";
import type { Db } from "mongodb";
import type { Finding } from "./audit.ts";

/** The report of a complete audit. */
export interface AuditReport {
  readonly startTime: Date;
  readonly endTime: Date;
  /** The number of checked items, by kind. */
  readonly checked: Readonly<Record<string, number>>;
  /** The number of findings by invariant; 0 if it holds. */
  readonly counts: Readonly<Record<string, number>>;
  /** The first 1,000 findings. */
  readonly findings: readonly Finding[];
}

/** The last report of an audit, for every replica to read. */
export interface AuditReports {
  keep(report: AuditReport): Promise<void>;
  last(): Promise<AuditReport | undefined>;
}

/** Stores reports in the collection `audits`. */
export function createAuditReports(db: Db, name: string): AuditReports {
  const reports = db.collection<AuditReport & { _id: string }>("audits");
  return {
    async keep(report) {
      await reports.replaceOne({ _id: name }, report, { upsert: true });
    },
    async last() {
      return (await reports.findOne({ _id: name })) ?? undefined;
    },
  };
}

const findings = {
  name: "shop_audit_findings",
  help: "Violations of this invariant found by the last audit",
  labelNames: ["service", "invariant"],
};
const endTime = {
  name: "shop_audit_last_end_timestamp_seconds",
  help: "When the last complete audit ended, in seconds since 1970",
  labelNames: ["service"],
};

/** Measures the findings of a service's last audit. */
export function auditGauges(service: string, reports: Pick<AuditReports, "last">): GaugeSource {
  return {
    dependency: "mongodb",
    async read() {
      const report = await reports.last();
      if (report === undefined) return [];
      return [
        { gauge: endTime, labels: { service }, value: report.endTime.getTime() / 1000 },
        ...Object.entries(report.counts).map(([invariant, value]) => ({
          gauge: findings,
          labels: { service, invariant },
          value,
        })),
      ];
    },
  };
}
