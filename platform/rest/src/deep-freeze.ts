import type { Message } from "@bufbuild/protobuf";

/** Values computed from frozen messages. */
const made = new WeakMap<Message, Map<unknown, unknown>>();

/**
 * Freezes a message with everything in it, so that values computed from it by {@link memoize} (encodings, validation results)
 * can be cached and shared. Bytes can't be frozen: do not write into them.
 */
export function deepFreeze<Shape extends Message>(message: Shape): Shape {
  if (made.has(message)) return message;
  freeze(message);
  made.set(message, new Map());
  return message;
}

/**
 * Computes a value from a message alone; for a frozen message once, and from then on from the cache. If `make` throws, nothing
 * is cached.
 *
 * @param name identifies the value among those of the message: any key of a Map
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
