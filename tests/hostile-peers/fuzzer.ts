import { frame, frameTypes, literal, preface, settings } from "@shop/http-port/testing/http2-frames";
import type { Random } from "../resilience/random.ts";
import { http1Faults, http2Faults } from "./faults.ts";
import { ends, type Play } from "./play.ts";
import {
  bodies,
  contentTypes,
  expectations,
  http1Request,
  http2Request,
  type Paths,
  requestKinds,
} from "./requests.ts";

/**
 * One conversation that starts from valid requests and is then mutated: over HTTP/2 its frames, their heads and their
 * header blocks, over HTTP/1.1 its lines, and over both its bytes and packet boundaries. The same state of `random` gives
 * the same one.
 */
export function fuzzedPlay(paths: Paths, random: Random): Play {
  const bytes = random.chance(0.7) ? http2Conversation(paths, random) : http1Conversation(paths, random);
  return {
    packets: inPackets(random.chance(0.2) ? mutatedBytes(bytes, random) : bytes, random),
    end: random.pick(ends),
  };
}

function choice(random: Random) {
  return {
    request: random.pick(Object.keys(requestKinds)),
    contentType: random.pick(contentTypes),
    expect: random.chance(0.2) ? random.pick(expectations) : "none",
    body: random.pick(bodies),
  };
}

// HTTP/2

function http2Conversation(paths: Paths, random: Random): Buffer {
  const frames: Buffer[] = [];
  const requests = random.integer(1, 6);
  for (let index = 0; index < requests; index++) frames.push(...http2Request(choice(random), paths, 2 * index + 1));
  if (random.chance(0.3)) frames.push(random.pick(Object.values(http2Faults)));
  const mutations = random.integer(0, 5);
  for (let n = 0; n < mutations; n++) random.pick(frameMutations)(frames, random);
  const opening = random.chance(0.95)
    ? [preface(), random.chance(0.2) ? randomSettings(random) : settings()]
    : [preface()];
  return Buffer.concat([...opening, ...frames]);
}

type FrameMutation = (frames: Buffer[], random: Random) => void;

const frameMutations: readonly FrameMutation[] = [
  (frames, random) => void frames.splice(position(frames, random), 1),
  (frames, random) => void frames.splice(position(frames, random), 0, random.pick(frames) ?? settings()),
  (frames, random) => void frames.splice(position(frames, random), 0, randomFrame(random)),
  (frames, random) => void frames.splice(position(frames, random), 0, randomSettings(random)),
  (frames, random) => void frames.splice(0, frames.length, ...random.shuffled(frames)),
  (frames, random) => change(frames, random, (head) => head.writeUIntBE(random.integer(0, 40), 0, 3)),
  (frames, random) => change(frames, random, (head) => head.writeUInt8(random.integer(0, 12), 3)),
  (frames, random) => change(frames, random, (head) => head.writeUInt8(random.integer(0, 255), 4)),
  (frames, random) => change(frames, random, (head) => head.writeUInt32BE(random.pick(streams), 5)),
  (frames, random) =>
    change(frames, random, (head) => head.writeUInt8(random.integer(0, 255), random.integer(0, head.length - 1))),
  // A header block with other fields, or with none.
  (frames, random) =>
    void frames.push(frame("headers", random.pick([0, 1, 4, 5]), random.pick(streams), randomBlock(random))),
  inContinuations,
];

const streams = [0, 1, 2, 3, 5, 7, 9, 11, 13, 99, 0x7fff_ffff, 0x8000_0001];

function position(frames: readonly Buffer[], random: Random): number {
  return random.integer(0, frames.length);
}

function change(frames: Buffer[], random: Random, edit: (frame: Buffer) => void): void {
  if (frames.length === 0) return;
  const at = random.integer(0, frames.length - 1);
  const changed = Buffer.from(frames[at]!);
  if (changed.length >= 9) edit(changed);
  frames[at] = changed;
}

/** Splits the payload of some frame: a header block may continue in CONTINUATION. */
function inContinuations(frames: Buffer[], random: Random): void {
  const at = frames.findIndex((one) => one[3] === frameTypes.headers && one.length > 11);
  if (at < 0) return;
  const whole = frames[at]!;
  const cut = random.integer(10, whole.length - 1);
  const stream = whole.readUInt32BE(5) & 0x7fff_ffff;
  const flags = whole[4]!;
  frames.splice(
    at,
    1,
    frame("headers", flags & ~4, stream, whole.subarray(9, cut)),
    frame("continuation", random.chance(0.8) ? 4 : 0, stream, whole.subarray(cut)),
  );
}

function randomFrame(random: Random): Buffer {
  const type = random.pick(Object.keys(frameTypes) as (keyof typeof frameTypes)[]);
  return frame(type, random.integer(0, 255), random.pick(streams), randomBytes(random, random.pick([0, 4, 5, 8, 30])));
}

function randomSettings(random: Random): Buffer {
  const values = Array.from({ length: random.integer(0, 5) }, () => {
    const value = random.pick([0, 1, 100, 16_384, 65_535, 0xff_ffff, 0x7fff_ffff, 0xffff_ffff]);
    return [random.integer(0, 9), value] as const;
  });
  return settings(...values);
}

const names = [
  ":method",
  ":path",
  ":scheme",
  ":authority",
  ":status",
  ":protocol",
  "",
  " ",
  "Host",
  "host",
  "connection",
  "te",
  "upgrade",
  "transfer-encoding",
  "content-length",
  "content-type",
  "content-encoding",
  "grpc-encoding",
  "grpc-timeout",
  "expect",
  "cookie",
  "connect-timeout-ms",
  "connect-protocol-version",
  "x-forwarded-for",
  "x-client-address",
  "origin",
  "if-none-match",
  "traceparent",
  "authorization",
  "x".repeat(300),
  "\0",
  "a\nb",
  "\xff",
]; // prettier-ignore
const values = [
  "",
  " ",
  "0",
  "1",
  "-1",
  "99999999999999999999",
  "GET",
  "POST",
  "HEAD",
  "CONNECT",
  "OPTIONS",
  "/",
  "*",
  "//",
  "/%",
  "/%2F..",
  "http://a/",
  "http",
  "trailers",
  "chunked",
  "gzip",
  "identity",
  "100-continue",
  "application/grpc",
  "application/grpc+json",
  "application/json",
  "application/connect+proto",
  "1H",
  "1n",
  "close",
  "websocket",
  "\0",
  "a\r\nb: c",
  "\xff\xfe",
  "x".repeat(5_000),
  "a, b, c",
]; // prettier-ignore

function randomBlock(random: Random): Buffer {
  if (random.chance(0.2)) return randomBytes(random, random.integer(0, 60));
  const fields = Array.from({ length: random.integer(0, 8) }, () => literal(random.pick(names), random.pick(values)));
  // An index of the static table, a change of the dynamic one, and a name in Huffman code that ends anywhere.
  const extras = [0x82, 0x84, 0xbe, 0x20, 0x3f, 0x3f, 0x80].map((byte) => Buffer.from([byte]));
  if (random.chance(0.4)) fields.splice(random.integer(0, fields.length), 0, random.pick(extras));
  return Buffer.concat(fields);
}

// HTTP/1.1

function http1Conversation(paths: Paths, random: Random): Buffer {
  const requests = Array.from({ length: random.integer(1, 4) }, () => {
    const request = http1Request(choice(random), paths);
    return random.chance(0.7) ? mutatedLines(request, random) : request;
  });
  if (random.chance(0.3)) requests.push(random.pick(Object.values(http1Faults)));
  return Buffer.concat(requests);
}

type LineMutation = (lines: string[], random: Random) => void;

const lineMutations: readonly LineMutation[] = [
  (lines, random) => void lines.splice(random.integer(0, lines.length), 1),
  (lines, random) => void lines.splice(random.integer(1, lines.length), 0, random.pick(lines) ?? ""),
  (lines, random) =>
    void lines.splice(random.integer(1, lines.length), 0, `${random.pick(names)}: ${random.pick(values)}`),
  (lines, random) => void lines.splice(random.integer(1, lines.length), 0, ` ${random.pick(values)}`),
  (lines, random) =>
    void lines.splice(
      0,
      1,
      `${random.pick(values)} ${random.pick(values)} HTTP/${random.pick(["1.1", "1.0", "2.0", "9"])}`,
    ),
  (lines, random) =>
    void lines.splice(random.integer(0, lines.length), 0, random.pick(["0", "ffffffffff", "5;a=b", "-1"])),
];

function mutatedLines(request: Buffer, random: Random): Buffer {
  const lines = request.toString("latin1").split("\r\n");
  const mutations = random.integer(1, 4);
  for (let n = 0; n < mutations; n++) random.pick(lineMutations)(lines, random);
  return Buffer.from(lines.join(random.chance(0.9) ? "\r\n" : random.pick(["\n", "\r", "\r\n\r\n", "\0"])), "latin1");
}

// Both

function mutatedBytes(bytes: Buffer, random: Random): Buffer {
  const mutated = Buffer.from(bytes);
  const flips = random.integer(1, 8);
  for (let n = 0; n < flips && mutated.length > 0; n++) {
    mutated[random.integer(0, mutated.length - 1)] = random.integer(0, 255);
  }
  if (random.chance(0.3)) return mutated.subarray(0, random.integer(0, mutated.length));
  if (random.chance(0.3)) return Buffer.concat([mutated, randomBytes(random, random.integer(1, 100))]);
  return mutated;
}

function inPackets(bytes: Buffer, random: Random): Buffer[] {
  if (random.chance(0.6)) return [bytes];
  const cuts = Array.from({ length: random.integer(1, 5) }, () => random.integer(0, bytes.length)).toSorted(
    (a, b) => a - b,
  );
  return [0, ...cuts].map((from, index) => bytes.subarray(from, cuts[index] ?? bytes.length));
}

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.integer(0, 255)));
}
