import type { JsMsg, MsgRequest, StoredMsg } from "@nats-io/jetstream";
import { DomainError, type TraceFields } from "@shop/core";
import type { Bus } from "./bus.ts";
import { apiErrorCode } from "./bus-errors.ts";
import { type Event, traceFieldsOf, traceHeaders } from "./event-batch.ts";

/** The stream of events that could not be handled, with the reason. */
export const deadLetterStream = "dead-letters";

const header = {
  reason: "Dead-Letter-Reason",
  /** On a dead letter: the consumer that failed. On a redriven event: the only consumer to handle it. */
  consumer: "Dead-Letter-Consumer",
  eventId: "Dead-Letter-Event-Id",
  subject: "Dead-Letter-Subject",
  redrives: "Dead-Letter-Redrives",
} as const;

/** JetStream's error number for a missing consumer. */
const noConsumer = 10014;

/** An event that a consumer could not handle. */
export interface DeadLetter extends TraceFields {
  /** Its position in the dead letter stream, from 1. */
  readonly sequence: number;
  readonly consumer: string;
  readonly reason: string;
  /** The event's original id, also after redrives. */
  readonly eventId: string;
  /** The full name of the event's message, which is its subject. */
  readonly type: string;
  /** How often it had been redriven when it became a dead letter. */
  readonly redrives: number;
  readonly time: Date;
  readonly payload: Uint8Array;
}

/** Creates the dead letter stream if it is missing. */
export async function ensureDeadLetters(bus: Bus): Promise<void> {
  await bus.ensureStream(deadLetterStream, [`${deadLetterStream}.>`]);
}

/** Copies an event to the dead letters of the consumer that could not handle it; `message` carried it. Safe to retry. */
export async function sendToDeadLetters(
  bus: Bus,
  durable: string,
  event: Event,
  { headers }: JsMsg,
  error: unknown,
): Promise<void> {
  await bus.send(`${deadLetterStream}.${durable}`, {
    id: `${durable}/${event.id}`,
    headers: {
      [header.reason]: String(error).replaceAll(/[\r\n]+/g, " "),
      [header.consumer]: durable,
      [header.eventId]: headers?.get(header.eventId) || event.id,
      [header.subject]: event.type,
      [header.redrives]: headers?.get(header.redrives) || "0",
      ...traceHeaders(event),
    },
    payload: event.payload,
  });
}

/** Whether a message was redriven for another consumer, so that this one must ignore it. */
export function isRedrivenForAnother(message: JsMsg, durable: string): boolean {
  const addressee = message.headers?.get(header.consumer) || durable;
  return addressee !== durable;
}

/** Lists dead letters of `consumer`, or of all, from a position on, oldest first. */
export async function listDeadLetters(
  bus: Bus,
  consumer: string | undefined,
  fromSequence: number,
  limit: number,
): Promise<DeadLetter[]> {
  const subject = `${deadLetterStream}.${consumer ?? ">"}`;
  const letters: DeadLetter[] = [];
  for (let sequence = fromSequence; letters.length < limit; ) {
    // The first message of that subject at this position or later: the client's types have the field for direct reads only.
    const letter = await read(bus, { seq: sequence, next_by_subj: subject } as MsgRequest);
    if (letter === undefined) break;
    letters.push(letter);
    sequence = letter.sequence + 1;
  }
  return letters;
}

/** Finds a dead letter by its position; undefined if it does not exist. */
export async function findDeadLetter(bus: Bus, sequence: number): Promise<DeadLetter | undefined> {
  return await read(bus, { seq: sequence });
}

/**
 * Publishes the event again for the consumer that failed, and deletes the letter once the bus has stored it. Safe to retry,
 * also concurrently: within JetStream's deduplication window the event is delivered once, and after that effects are
 * idempotent.
 *
 * @throws DEAD_LETTER_UNHEARD if the consumer no longer consumes the event
 */
export async function redriveDeadLetter(bus: Bus, letter: DeadLetter): Promise<void> {
  const { sequence, consumer, eventId, type, redrives, payload } = letter;
  if (!(await isConsumed(bus, letter))) {
    throw new DomainError("failed_precondition", "DEAD_LETTER_UNHEARD", `${consumer} no longer consumes ${type}`, {
      metadata: { consumer, event_type: type },
    });
  }
  await bus.send(type, {
    // A new id: under the original one the bus would drop the event as a duplicate.
    id: `${deadLetterStream}/${sequence}`,
    headers: {
      [header.consumer]: consumer,
      [header.eventId]: eventId,
      [header.redrives]: String(redrives + 1),
      ...traceHeaders(letter),
    },
    payload,
  });
  await removeDeadLetter(bus, sequence);
}

/** Deletes a dead letter; false if it did not exist. */
export async function removeDeadLetter(bus: Bus, sequence: number): Promise<boolean> {
  try {
    return await bus.manager.streams.deleteMessage(deadLetterStream, sequence);
  } catch (error) {
    // JetStream has several errors for a message that does not exist.
    if ((await findDeadLetter(bus, sequence)) === undefined) return false;
    throw error;
  }
}

async function isConsumed(bus: Bus, { consumer, type }: DeadLetter): Promise<boolean> {
  for await (const stream of bus.manager.streams.names(type)) {
    const info = await unlessMissing(noConsumer, () => bus.manager.consumers.info(stream, consumer));
    if (info?.config.filter_subject === type) return true;
  }
  return false;
}

async function read(bus: Bus, place: MsgRequest): Promise<DeadLetter | undefined> {
  const message = await bus.manager.streams.getMessage(deadLetterStream, place);
  return message === null ? undefined : toDeadLetter(message);
}

function toDeadLetter({ seq, subject, header: headers, time, data }: StoredMsg): DeadLetter {
  return {
    sequence: seq,
    consumer: headers.get(header.consumer) || subject.slice(deadLetterStream.length + 1),
    reason: headers.get(header.reason),
    eventId: headers.get(header.eventId),
    type: headers.get(header.subject),
    redrives: Number(headers.get(header.redrives) || 0),
    time,
    payload: data,
    ...traceFieldsOf(headers),
  };
}

async function unlessMissing<Result>(code: number, ask: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (apiErrorCode(error) === code) return undefined;
    throw error;
  }
}
