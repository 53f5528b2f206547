import type { Bus } from "./bus.ts";
import type { Event } from "./event-batch.ts";

/** Keeps what could not be handled, with the reason, until an administrator looks at it. */
export const deadLetterStream = "dead-letters";

export async function ensureDeadLetters(bus: Bus): Promise<void> {
  await bus.ensureStream(deadLetterStream, [`${deadLetterStream}.>`]);
}

/** Copies an event to the dead letters, under the consumer that could not handle it. Safe to retry. */
export async function sendToDeadLetters(bus: Bus, durable: string, event: Event, error: unknown): Promise<void> {
  await bus.send(`${deadLetterStream}.${durable}`, {
    id: `${durable}/${event.id}`,
    headers: {
      "Dead-Letter-Reason": String(error).replaceAll(/[\r\n]+/g, " "),
      "Dead-Letter-Consumer": durable,
      "Dead-Letter-Event-Id": event.id,
      "Dead-Letter-Subject": event.type,
    },
    payload: event.payload,
  });
}
