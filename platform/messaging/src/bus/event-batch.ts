import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { JsMsg } from "@nats-io/jetstream";
import {
  createBatcher,
  inSpan,
  recordedTraceOf,
  type Trace,
  type TraceFields,
  traceparentHeader,
  tracestateHeader,
} from "@shop/core";
import { EventBatchSchema } from "@shop/gen/shop/common/v1/event_batch_pb";
import { sendSpan } from "./spans.ts";

/** An event to be published: its type is the subject, and its id identifies duplicates. */
export interface Event extends TraceFields {
  /** `<service>/<type>/<aggregate id>/<version>/<n>`; two events never share one. */
  readonly id: string;
  /** The full name of the message, such as `shop.orders.v1.OrderPlaced`. */
  readonly type: string;
  /** The message, encoded. */
  readonly payload: Uint8Array;
}

/** A message that the bus stores. */
export interface BusMessage {
  /** Messages with the same id are stored once within the deduplication window. */
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

const contentTypeHeader = "Content-Type";
const batchType = `application/x-protobuf; messageType="${EventBatchSchema.typeName}"`;
const maxEvents = 256;
/** Servers refuse messages of more than 1 MiB. */
const maxPayloadBytes = 512 * 1024;
const maxInFlight = 4;

/**
 * Publishes events. Events of one type that arrive together, or while others are being published, are sent as one message:
 * storing, delivering and acknowledging costs the same for a message of one event as of 256.
 */
export function createBatchPublisher(
  send: (subject: string, message: BusMessage) => Promise<void>,
): (event: Event) => Promise<void> {
  const publishers = new Map<string, (event: Event) => Promise<void>>();
  const publisherOf = (type: string) =>
    createBatcher<Event>({
      name: `publish together ${type}`,
      maxItems: maxEvents,
      maxInFlight,
      async work(events) {
        await Promise.all(inParts(events).map((part) => send(type, toMessage(part))));
        return new Map();
      },
    });
  return (event) => {
    const publish = publishers.get(event.type) ?? publisherOf(event.type);
    publishers.set(event.type, publish);
    const trace = recordedTraceOf(event);
    if (trace === undefined) return publish(event);
    // The event continues the trace from the span of its publication.
    const send = (span: Trace | undefined) =>
      publish({ ...event, traceparent: span?.traceparent, tracestate: span?.tracestate });
    return inSpan(`send ${event.type}`, sendSpan(event), send, trace);
  };
}

/** The aggregate that an event is about, by the event's id. */
export function aggregateIdOf({ id }: Event): string {
  return id.split("/")[2] ?? id;
}

/** The events of a message, in order. Throws if it claims to be a batch and is not. */
export function eventsOf(message: JsMsg): Event[] {
  if (message.headers?.get(contentTypeHeader) !== batchType) return [asOneEvent(message)];
  return fromBinary(EventBatchSchema, message.data).events.map(({ id, payload, traceparent, tracestate }) => ({
    id,
    type: message.subject,
    payload,
    traceparent: traceparent || undefined,
    tracestate: tracestate || undefined,
  }));
}

/** A message of one event, or an undecodable one. */
export function asOneEvent({ subject, data, headers, info, seq }: JsMsg): Event {
  const id = headers?.get("Nats-Msg-Id") || `${info.stream}/${seq}`;
  return { id, type: subject, payload: data, ...traceFieldsOf(headers) };
}

/** Splits events of one type into as few messages as possible. */
export function inParts<Part extends Event>(events: readonly Part[]): Part[][] {
  const parts: Part[][] = [];
  let bytes = 0;
  for (const event of events) {
    bytes += event.payload.length;
    if (parts.length === 0 || parts.at(-1)!.length === maxEvents || bytes > maxPayloadBytes) {
      parts.push([]);
      bytes = event.payload.length;
    }
    parts.at(-1)!.push(event);
  }
  return parts;
}

/** The message of an already encoded batch. */
export function batchMessage(id: string, payload: Uint8Array): BusMessage {
  return { id, headers: { [contentTypeHeader]: batchType }, payload };
}

/** The message for one part. */
export function toMessage(events: readonly Event[]): BusMessage {
  const [first, ...others] = events as [Event, ...Event[]];
  if (others.length === 0) {
    return { id: first.id, headers: traceHeaders(first), payload: first.payload };
  }
  const hash = createHash("sha256");
  for (const { id } of events) hash.update(id).update("\n");
  const batch = events.map(({ id, payload, traceparent = "", tracestate = "" }) => ({
    id,
    payload,
    traceparent,
    tracestate,
  }));
  const payload = toBinary(EventBatchSchema, create(EventBatchSchema, { events: batch }));
  return batchMessage(`batch/${hash.digest("base64url")}`, payload);
}

/** The headers of a message that continue a trace. */
export function traceHeaders({ traceparent, tracestate }: TraceFields): Record<string, string> {
  return {
    ...(traceparent !== undefined && { [traceparentHeader]: traceparent }),
    ...(tracestate !== undefined && { [tracestateHeader]: tracestate }),
  };
}

export function traceFieldsOf(headers: JsMsg["headers"]): TraceFields {
  return {
    traceparent: headers?.get(traceparentHeader) || undefined,
    tracestate: headers?.get(tracestateHeader) || undefined,
  };
}
