import type { Filter } from "./link.ts";
import type { Random } from "./random.ts";

/** Faults of a bus that still delivers at least once. Shares are fractions of 1. */
export interface Noise {
  /** Events that arrive a second time, without the id by which JetStream detects duplicates. */
  readonly doubled: number;
  /** Events that arrive up to `mostDelayMs` late. */
  readonly delayed: number;
  /** Events that arrive after the next one. */
  readonly swapped: number;
  readonly mostDelayMs: number;
}

export const usualNoise: Noise = { doubled: 0.05, delayed: 0.03, swapped: 0.05, mostDelayMs: 3_000 };

/** The time after which a swapped event without a successor is sent alone. */
const swapWithinMs = 200;

/**
 * Reads the NATS protocol in one direction of a connection, and duplicates, delays and swaps the events in it: those that are
 * published (HPUB to a subject of the shop) as well as those that are delivered (HMSG that asks JetStream for an
 * acknowledgement). All other bytes are forwarded unchanged. See
 * https://docs.nats.io/reference/reference-protocols/nats-protocol
 */
export function noisyBus(random: Random, noise: Noise): Filter {
  return (forward) => {
    let held: Buffer | undefined;
    const release = () => {
      if (held !== undefined) forward(held);
      held = undefined;
    };
    return framesOf((frame) => {
      if (!isEvent(frame)) return forward(frame);
      if (random.chance(noise.doubled)) {
        setTimeout(forward, random.integer(0, noise.mostDelayMs), withoutId(frame));
      }
      if (random.chance(noise.delayed)) {
        setTimeout(forward, random.integer(1, noise.mostDelayMs), frame);
      } else if (held === undefined && random.chance(noise.swapped)) {
        held = frame;
        setTimeout(release, swapWithinMs);
      } else {
        forward(frame);
        release();
      }
    });
  };
}

const newline = Buffer.from("\r\n");

/** Splits a stream of bytes into whole protocol messages. */
export function framesOf(take: (frame: Buffer) => void): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    for (;;) {
      const lineEnd = rest.indexOf(newline);
      if (lineEnd < 0) return;
      const line = rest.toString("latin1", 0, lineEnd);
      const payload = /^H?(PUB|MSG) .*?(\d+)$/i.exec(line);
      const length = lineEnd + 2 + (payload === null ? 0 : Number(payload[2]) + 2);
      if (rest.length < length) return;
      take(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  };
}

function isEvent(frame: Buffer): boolean {
  const line = frame.toString("latin1", 0, frame.indexOf(newline));
  return /^HPUB shop\./.test(line) || /^H?MSG shop\.\S+ \S+ \$JS\.ACK\./.test(line);
}

/** The same event with a header that JetStream ignores, so that it is stored again. */
function withoutId(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  const at = copy.indexOf("Nats-Msg-Id:");
  if (at >= 0) copy.write("Test", at, "latin1");
  return copy;
}
