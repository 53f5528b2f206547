import type { GaugeSource, Job, Lease, Logger } from "@shop/core";
import type { Collection } from "mongodb";
import type { Bus } from "../bus/bus.ts";
import { outboxGauges } from "../outbox-gauges.ts";
import { createOutbox, ensureOutboxIndex, type Outbox, type SweeperOptions } from "./outbox.ts";
import type { WithOutbox } from "./pending-event.ts";
import { createOutboxUpkeep, type OutboxUpkeep } from "./upkeep.ts";

/** The background work for an outbox while its module runs. */
export interface OutboxWork {
  /** @param afterMs events younger than this, in milliseconds, are left to the writer that committed them */
  sweeper(lease: (name: string) => Lease, afterMs: number): Job;
  readonly gauges: GaugeSource;
  /** Removes published events from their documents. */
  close(): Promise<void>;
}

/** An outbox with its index and background work. */
export interface OpenOutbox<Document extends WithOutbox = WithOutbox> extends Outbox<Document> {
  readonly upkeep: OutboxUpkeep;
  /** For the `outboxes` of a started module, which sweeps, measures and closes them. */
  work(options?: Pick<SweeperOptions<Document>, "before">): OutboxWork;
}

/** Opens the outbox in the documents of a collection, and creates its index. `label` names it in metrics. */
export async function openOutbox<Document extends WithOutbox>(
  documents: Collection<Document>,
  { label, bus, log }: { readonly label: string; readonly bus: Bus; readonly log: Logger },
): Promise<OpenOutbox<Document>> {
  await ensureOutboxIndex(documents);
  const outbox = createOutbox(documents, bus, log);
  const upkeep = createOutboxUpkeep(documents, outbox);
  return {
    ...outbox,
    upkeep,
    work: (options) => ({
      sweeper: (lease, afterMs) =>
        outbox.sweeper({ ...options, lease: lease(`sweep-${documents.collectionName}-outbox`), afterMs }),
      gauges: outboxGauges(label, upkeep),
      close: outbox.close,
    }),
  };
}
