import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EventBatchSchema } from "@shop/gen/shop/common/v1/event_batch_pb";
import { Binary } from "mongodb";
import { type BusMessage, batchMessage, type Event, inParts, toMessage } from "../bus/event-batch.ts";
import { currentTraceparent } from "../trace.ts";

/** An event as it waits inside the document whose change it tells of: one write commits both. */
export interface PendingEvent {
  readonly id: string;
  readonly type: string;
  readonly payload: Binary;
  /** How many of its type it is, when it is several, as they travel. */
  readonly batch?: number;
  readonly traceparent?: string;
  readonly time: Date;
}

/** A document that carries its events until the bus has them. */
export interface WithOutbox {
  _id: string;
  outbox: PendingEvent[];
}

/**
 * An event about version `version` of an aggregate. `n` tells apart events of one type about one version; `service` is the
 * name of whoever emits.
 */
export function pendingEvent<Schema extends DescMessage>(
  schema: Schema,
  message: MessageInitShape<Schema>,
  about: {
    readonly service: string;
    readonly aggregateId: string;
    readonly version: number;
    readonly n?: number;
    readonly time: Date;
  },
): PendingEvent {
  const traceparent = currentTraceparent();
  return {
    id: `${about.service}/${schema.name}/${about.aggregateId}/${about.version}/${about.n ?? 0}`,
    type: schema.typeName,
    payload: new Binary(toBinary(schema, create(schema, message))),
    ...(traceparent === undefined ? {} : { traceparent }),
    time: about.time,
  };
}

/** Events of one document, packed by type as they will travel. An event that is alone stays as it is. */
export function batched(events: readonly PendingEvent[]): PendingEvent[] {
  return [...Map.groupBy(events, ({ type }) => type)].flatMap(([type, ofType]) =>
    inParts(ofType.map((pending) => ({ ...toEvent(pending), pending }))).map((part): PendingEvent => {
      const { pending } = part[0]!;
      if (part.length === 1) return pending;
      const { id, payload } = toMessage(part);
      return { id, type, payload: new Binary(payload), batch: part.length, time: pending.time };
    }),
  );
}

/** Events that were packed by `batched`, one by one again. */
export function unbatched(pending: readonly PendingEvent[]): PendingEvent[] {
  return pending.flatMap((packed) => {
    if (packed.batch === undefined) return [packed];
    return fromBinary(EventBatchSchema, packed.payload.buffer).events.map(({ id, payload, traceparent }) => ({
      id,
      type: packed.type,
      payload: new Binary(payload),
      ...(traceparent === "" ? {} : { traceparent }),
      time: packed.time,
    }));
  });
}

/** The id of the aggregate that an event tells of. */
export function aggregateIdOf({ id }: Pick<PendingEvent, "id">): string {
  return id.split("/")[2] ?? "";
}

/** What the bus is sent in place of a batch; undefined for what is one event. */
export function toBatch({ batch, id, payload }: PendingEvent): BusMessage | undefined {
  return batch === undefined ? undefined : batchMessage(id, payload.buffer);
}

export function toEvent(pending: PendingEvent): Event {
  return { id: pending.id, type: pending.type, payload: pending.payload.buffer, traceparent: pending.traceparent };
}
