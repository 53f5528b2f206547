import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type TraceFields, traceAbout } from "@shop/core";
import { Binary } from "mongodb";
import { type BusMessage, batchMessage, type Event, inParts, toMessage } from "../bus/event-batch.ts";

/** An event in the outbox of the document that it is about: one write commits both. */
export interface PendingEvent extends TraceFields {
  readonly id: string;
  readonly type: string;
  readonly payload: Binary;
  /** The number of events, if this is a batch of one type. */
  readonly batch?: number;
  readonly time: Date;
}

/** A document that holds its events until the bus has stored them. */
export interface WithOutbox {
  _id: string;
  outbox: PendingEvent[];
}

/** Identifies an event of a type: about version `version` of an aggregate. `n` distinguishes several about one version. */
interface EventKey {
  /** The name of the publishing service. */
  readonly service: string;
  readonly aggregateId: string;
  readonly version: number;
  readonly n?: number;
}

/** The id of an event: equal keys mean the same event. */
export function eventIdOf(schema: DescMessage, { service, aggregateId, version, n = 0 }: EventKey): string {
  return `${service}/${schema.name}/${aggregateId}/${version}/${n}`;
}

/**
 * An event about a version of an aggregate, ready to be committed with it. It continues the trace of the current work, or, in a
 * batch of events, that of the event about the same aggregate.
 */
export function pendingEvent<Schema extends DescMessage>(
  schema: Schema,
  message: MessageInitShape<Schema>,
  about: EventKey & { readonly time: Date },
): PendingEvent {
  const trace = traceAbout(about.aggregateId);
  return {
    id: eventIdOf(schema, about),
    type: schema.typeName,
    payload: new Binary(toBinary(schema, create(schema, message))),
    ...(trace && { traceparent: trace.traceparent, ...(trace.tracestate && { tracestate: trace.tracestate }) }),
    time: about.time,
  };
}

/** Batches the events of one document by type, as they will be sent. A single event is unchanged. */
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

/** The message for a batch; undefined for a single event. */
export function toBatch({ batch, id, payload }: PendingEvent): BusMessage | undefined {
  return batch === undefined ? undefined : batchMessage(id, payload.buffer);
}

export function toEvent(pending: PendingEvent): Event {
  const { id, type, payload, traceparent, tracestate } = pending;
  return { id, type, payload: payload.buffer, traceparent, tracestate };
}
