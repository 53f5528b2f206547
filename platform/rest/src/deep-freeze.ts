import type { Message } from "@bufbuild/protobuf";

/** What was made of messages that never change. */
const made = new WeakMap<Message, Map<unknown, unknown>>();

/**
 * Freezes a message and all that is in it, so that what is made of it (its encodings, what validation found) is made once and
 * given again, however many share it. Bytes can't be frozen: nobody may write into them.
 */
export function deepFreeze<Shape extends Message>(message: Shape): Shape {
  if (made.has(message)) return message;
  freeze(message);
  made.set(message, new Map());
  return message;
}

/**
 * What `make` makes of a message, which has to follow from the message alone; of one that never changes it is made once.
 *
 * @param name tells apart what is made of one message: whatever a Map takes for a key
 */
export function memoize<Result>(message: Message, name: unknown, make: () => Result): Result {
  const known = made.get(message);
  if (known === undefined) return make();
  const there = known.get(name);
  if (there !== undefined) return there as Result;
  const result = make();
  known.set(name, result);
  return result;
}

function freeze(value: unknown): void {
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
}
