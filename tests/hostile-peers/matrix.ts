import { preface, settings } from "@shop/http-port/testing/http2-frames";
import type { Random } from "../resilience/random.ts";
import { http1Faults, http2Faults } from "./faults.ts";
import { type Choice, pairwise } from "./pairwise.ts";
import { ends, type Play } from "./play.ts";
import {
  bodies,
  contentTypes,
  expectations,
  http1Request,
  http2Request,
  type Paths,
  type RequestChoice,
  requestKinds,
} from "./requests.ts";

/** The packet boundaries of a conversation. */
const splits = [
  "one packet",
  "the fault in its own packet",
  "the head in its own packet",
  "byte by byte at first",
  "cut anywhere",
];

const dimensions = {
  request: Object.keys(requestKinds),
  contentType: contentTypes,
  expect: expectations,
  body: bodies,
  split: splits,
  end: ends,
};
const http1Dimensions = { ...dimensions, fault: Object.keys(http1Faults) };
const http2Dimensions = { ...dimensions, fault: Object.keys(http2Faults) };

/** A pairwise sample of requests, their framing, the fault after them, and how the peer leaves. */
export function samplePlays(paths: Paths, random: Random): (Play & { readonly says: string })[] {
  const overHttp1 = pairwise(http1Dimensions, random).map((choice) => {
    const request = http1Request(choice, paths);
    return played("HTTP/1.1", choice, Buffer.alloc(0), request, http1Faults[choice.fault]!, random);
  });
  const overHttp2 = pairwise(http2Dimensions, random).map((choice) => {
    const opening = Buffer.concat([preface(), settings()]);
    const request = Buffer.concat(http2Request(choice, paths));
    return played("HTTP/2", choice, opening, request, http2Faults[choice.fault]!, random);
  });
  return random.shuffled([...overHttp1, ...overHttp2]);
}

function played(
  version: string,
  choice: RequestChoice & Choice<typeof http1Dimensions>,
  opening: Buffer,
  request: Buffer,
  fault: Buffer,
  random: Random,
): Play & { readonly says: string } {
  const all = Buffer.concat([opening, request, fault]);
  const packets = split(choice.split, all, opening.length + request.length, random);
  return { says: `${version}: ${JSON.stringify(choice)}`, packets, end: choice.end };
}

/** Offsets among the first bytes, which cover each state of the parsers. */
const firstBytes = 120;

function split(how: string, all: Buffer, faultAt: number, random: Random): Buffer[] {
  switch (how) {
    case "the fault in its own packet":
      return [all.subarray(0, faultAt), all.subarray(faultAt)];
    case "the head in its own packet": {
      const at = random.integer(1, Math.min(firstBytes, all.length));
      return [all.subarray(0, at), all.subarray(at)];
    }
    case "byte by byte at first": {
      const few = random.integer(1, 6);
      return [...Array.from({ length: few }, (_, index) => all.subarray(index, index + 1)), all.subarray(few)];
    }
    case "cut anywhere":
      return [all.subarray(0, random.integer(1, all.length))];
    default:
      return [all];
  }
}
