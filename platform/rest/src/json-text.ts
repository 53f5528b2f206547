import type { JsonValue } from "@bufbuild/protobuf";
import { invalidRequest } from "./invalid-request.ts";
import { cutText } from "./refusal-limits.ts";

/**
 * The deepest nesting of arrays and objects in a body, and of names in a query: the depth to which protobuf-es reads messages.
 */
export const maxJsonDepth = 100;

/** An integer that a JavaScript number can't hold, as it was written. */
export class ExactInteger {
  readonly digits: string;
  constructor(digits: string) {
    this.digits = digits;
  }
}

/** Parsed JSON. If `exact`, it may hold ExactIntegers in place of numbers. */
export type ParsedJson = { json: JsonValue; exact: boolean };

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Parses a JSON body more strictly than JSON.parse: invalid UTF-8, a repeated key and nesting beyond maxJsonDepth are
 * invalid_argument, and integers beyond 2^53 become ExactIntegers.
 */
export function parseJsonBody(bytes: Uint8Array): ParsedJson {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw invalidRequest({ field: "", description: "the request body is not valid UTF-8" });
  }
  try {
    // Depth is checked first: JSON.parse has no limit, but later recursive code would overflow.
    const problem = depthProblem(text);
    if (problem !== undefined) throw invalidRequest({ field: "", description: problem });
    const exact = /\d{16}/.test(text);
    const json = exact ? JSON.parse(text, keepExactInteger as Reviver) : JSON.parse(text);
    const key = repeatedKey(text);
    if (key !== undefined)
      throw invalidRequest({
        field: "",
        description: `the request body repeats the key ${JSON.stringify(cutText(key))}`,
      });
    return { json, exact };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // V8's message quotes the body, which may contain a password that would end up in a log: only the position is kept.
    const place = / at position \d+( \(line \d+ column \d+\))?/.exec(error.message)?.[0] ?? "";
    throw invalidRequest({ field: "", description: `the request body is not valid JSON${place}` });
  }
}

type Reviver = (key: string, value: unknown) => unknown;

function keepExactInteger(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return context?.source !== undefined && /^-?\d+$/.test(context.source) ? new ExactInteger(context.source) : value;
}

function depthProblem(text: string): string | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > maxJsonDepth) return `the request body nests deeper than ${maxJsonDepth} levels`;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
        break;
    }
  }
  return undefined;
}

/** The first key that an object in this valid JSON repeats; JSON.parse would silently keep the last value. */
export function repeatedKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let keyNext = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: {
        const end = endOfString(text, at);
        const keys = open.at(-1);
        if (keyNext && keys !== undefined) {
          const raw = text.slice(at, end + 1);
          const key: string = raw.includes("\\") ? JSON.parse(raw) : raw.slice(1, -1);
          if (keys.has(key)) return key;
          keys.add(key);
          keyNext = false;
        }
        at = end;
        break;
      }
      case 0x7b:
        open.push(new Set());
        keyNext = true;
        break;
      case 0x5b:
        open.push(undefined);
        keyNext = false;
        break;
      case 0x5d:
      case 0x7d:
        open.pop();
        break;
      case 0x2c: // ,
        keyNext = open.at(-1) !== undefined;
        break;
    }
  }
  return undefined;
}

/** The position of the quote that closes the string opened at `start`, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x5c) at++;
    else if (char === 0x22) return at;
  }
  return text.length;
}
