import type { JsMsg, MsgRequest, StoredMsg } from "@nats-io/jetstream";
import { DomainError, traceparentHeader } from "@shop/core";
import type { Bus } from "./bus.ts";
import { apiErrorCode } from "./bus-errors.ts";
import type { Event } from "./event-batch.ts";

/** Keeps what could not be handled, with the reason, until an administrator looks at it. */
export const deadLetterStream = "dead-letters";

const header = {
  reason: "Dead-Letter-Reason",
  /** On a dead letter: who gave up. On an event of a stream: who is to hear it again, and nobody else. */
  consumer: "Dead-Letter-Consumer",
  eventId: "Dead-Letter-Event-Id",
  subject: "Dead-Letter-Subject",
  redrives: "Dead-Letter-Redrives",
} as const;

/** What JetStream says of a consumer that is not there. */
const noConsumer = 10014;

/** An event that a consumer could not handle. */
export interface DeadLetter {
  /** Its place among the dead letters, from 1. */
  readonly sequence: number;
  readonly consumer: string;
  readonly reason: string;
  /** Of the event, however often it was redriven. */
  readonly eventId: string;
  /** The full name of the event's message, which is the subject it was heard on. */
  readonly type: string;
  /** How often it had been redriven when it was set aside. */
  readonly redrives: number;
  readonly time: Date;
  readonly payload: Uint8Array;
  readonly traceparent: string | undefined;
}

export async function ensureDeadLetters(bus: Bus): Promise<void> {
  await bus.ensureStream(deadLetterStream, [`${deadLetterStream}.>`]);
}

/**
 * Copies an event to the dead letters, under the consumer that could not handle it; `message` is what carried it. Safe to
 * retry.
 */
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
      ...(event.traceparent === undefined ? {} : { [traceparentHeader]: event.traceparent }),
    },
    payload: event.payload,
  });
}

/** Tells whether a message was redriven for another consumer than this one, which has done its part already. */
export function isRedrivenForAnother(message: JsMsg, durable: string): boolean {
  const addressee = message.headers?.get(header.consumer) || durable;
  return addressee !== durable;
}

/** Those of `consumer`, or of all, from a place on, the oldest first. */
export async function listDeadLetters(
  bus: Bus,
  consumer: string | undefined,
  fromSequence: number,
  limit: number,
): Promise<DeadLetter[]> {
  const subject = `${deadLetterStream}.${consumer ?? ">"}`;
  const letters: DeadLetter[] = [];
  for (let sequence = fromSequence; letters.length < limit; ) {
    // The first message of that subject at this place or later: the driver's types know it for direct reads only.
    const letter = await read(bus, { seq: sequence, next_by_subj: subject } as MsgRequest);
    if (letter === undefined) break;
    letters.push(letter);
    sequence = letter.sequence + 1;
  }
  return letters;
}

export async function findDeadLetter(bus: Bus, sequence: number): Promise<DeadLetter | undefined> {
  return await read(bus, { seq: sequence });
}

/**
 * Publishes the event again for the consumer that gave up, and takes the letter away once the bus has it. Safe to repeat, and
 * to do twice at once: within JetStream's window for duplicates the event comes once, and after that effects are idempotent.
 * Throws DEAD_LETTER_UNHEARD when nobody would hear it.
 */
export async function redriveDeadLetter(bus: Bus, letter: DeadLetter): Promise<void> {
  const { sequence, consumer, eventId, type, redrives, payload, traceparent } = letter;
  if (!(await isHeard(bus, letter))) {
    throw new DomainError("failed_precondition", "DEAD_LETTER_UNHEARD", `${consumer} does not hear ${type} any more`, {
      metadata: { consumer, event_type: type },
    });
  }
  await bus.send(type, {
    // A name of its own: under the one it had, the bus would take the event for a duplicate and drop it.
    id: `${deadLetterStream}/${sequence}`,
    headers: {
      [header.consumer]: consumer,
      [header.eventId]: eventId,
      [header.redrives]: String(redrives + 1),
      ...(traceparent === undefined ? {} : { [traceparentHeader]: traceparent }),
    },
    payload,
  });
  await removeDeadLetter(bus, sequence);
}

/** False when it was gone already. */
export async function removeDeadLetter(bus: Bus, sequence: number): Promise<boolean> {
  try {
    return await bus.manager.streams.deleteMessage(deadLetterStream, sequence);
  } catch (error) {
    // JetStream has several words for a message that is not there to be deleted.
    if ((await findDeadLetter(bus, sequence)) === undefined) return false;
    throw error;
  }
}

async function isHeard(bus: Bus, { consumer, type }: DeadLetter): Promise<boolean> {
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
    traceparent: headers.get(traceparentHeader) || undefined,
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
