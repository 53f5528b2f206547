import type { Socket } from "node:net";

// Raw HTTP/2 frames (RFC 9113, RFC 7541), because client libraries do not send what attackers send.

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const endStream = 1;
export const endHeaders = 4;

/** One frame: a header of nine bytes, then the payload. */
export function frame(
  type: keyof typeof frameTypes,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = frameTypes[type];
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Calls back with the type of each received frame. */
export function readFrames(socket: Socket, seen: (type: number) => void): void {
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      seen(rest[3]!);
      rest = rest.subarray(9 + rest.readUIntBE(0, 3));
    }
  });
}

export function preface(): Buffer {
  return Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
}

/** The preface, an empty SETTINGS frame, and these frames. */
export function opening(...frames: readonly Buffer[]): Buffer {
  return Buffer.concat([preface(), settings(), ...frames]);
}

/** @param values pairs of an identifier (RFC 9113 6.5.2) and its value */
export function settings(...values: readonly (readonly [identifier: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * values.length);
  for (const [index, [identifier, value]] of values.entries()) {
    payload.writeUInt16BE(identifier, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return frame("settings", 0, 0, payload);
}

/** SETTINGS_INITIAL_WINDOW_SIZE = 0 */
export function noWindow(): Buffer {
  return settings([4, 0]);
}

export function ping(): Buffer {
  return frame("ping", 0, 0, Buffer.alloc(8));
}

export function windowUpdate(stream: number, bytes: number): Buffer {
  return frame("windowUpdate", 0, stream, uint32(bytes));
}

export function reset(stream: number, code: number): Buffer {
  return frame("rstStream", 0, stream, uint32(code));
}

/** A header block of literal fields, not indexed. */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(Object.entries(fields).map(([name, value]) => literal(name, value)));
}

/** HPACK's literal field without indexing. */
export function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), hpackText(name), hpackText(value)]);
}

function hpackText(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let left = bytes.length - 127;
  for (; left >= 128; left >>= 7) length.push((left & 127) | 128);
  return Buffer.concat([Buffer.from([...length, left]), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
