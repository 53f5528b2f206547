import type { JsMsg } from "nats";
import type { Bus } from "./bus.ts";

/** Keeps what could not be handled, with the reason, until an administrator looks at it. */
export const deadLetterStream = "dead-letters";

export async function ensureDeadLetters(bus: Bus): Promise<void> {
  await bus.ensureStream(deadLetterStream, [`${deadLetterStream}.>`]);
}

/** Copies a message to the dead letters, under the consumer that could not handle it. Safe to retry. */
export async function sendToDeadLetters(bus: Bus, durable: string, message: JsMsg, error: unknown): Promise<void> {
  const originalId = message.headers?.get("Nats-Msg-Id") || `${message.info.stream}/${message.seq}`;
  await bus.publish(
    { id: `${durable}/${originalId}`, type: message.subject, payload: message.data },
    {
      "Dead-Letter-Reason": String(error).replaceAll(/[\r\n]+/g, " "),
      "Dead-Letter-Consumer": durable,
      "Dead-Letter-Event-Id": originalId,
      "Dead-Letter-Subject": message.subject,
    },
    `${deadLetterStream}.${durable}`,
  );
}
