import type { Message } from "@bufbuild/protobuf";
import { statusJson } from "./error.ts";
import type { JsonForm } from "./json-form.ts";
import { answersHttpBody, encodeResponse, responseJson } from "./response.ts";
import type { Resumption } from "./resumption.ts";
import type { RestRoute } from "./route.ts";

/** The format of a stream of messages in one HTTP body. */
type StreamFormat = {
  contentType: string;
  /** The beginning of the body. */
  start: string;
  /** @param id the message's position in the stream, if it has one */
  message(json: string, id: string | undefined): string;
  error(json: string): string;
  end: string;
  /** Sent while the stream is idle, to keep the connection alive; "" if the format has no such element. */
  keepAlive: string;
};

const ndjson: StreamFormat = {
  contentType: "application/x-ndjson",
  start: "",
  message: (json) => `${json}\n`,
  error: (json) => `{"error":${json}}\n`,
  end: "",
  // An empty line is allowed, but many readers would parse it.
  keepAlive: "",
};

/** How long an EventSource waits before it reconnects. */
const retryMs = 2_000;

/** https://html.spec.whatwg.org/multipage/server-sent-events.html */
const serverSentEvents: StreamFormat = {
  contentType: "text/event-stream",
  start: `retry: ${retryMs}\n\n`,
  message: (json, id) => `${id === undefined ? "" : `id: ${id}\n`}data: ${json}\n\n`,
  // Not "error": an EventSource dispatches an event of that name itself when the connection is lost.
  error: (json) => `event: failure\ndata: ${json}\n\n`,
  // An EventSource reconnects when the body ends: this event marks the end. If it reconnects, the answer is 204.
  end: "event: end\ndata: {}\n\n",
  keepAlive: ": keep-alive\n\n",
};

/** The format requested by an Accept header: Server-Sent Events if it names them and does not prefer NDJSON, else NDJSON. */
function streamFormat(accept: string | null): StreamFormat {
  const weight = ({ contentType }: StreamFormat) => acceptWeight(accept ?? "", contentType);
  return weight(serverSentEvents) > 0 && weight(serverSentEvents) >= weight(ndjson) ? serverSentEvents : ndjson;
}

/** The weight (RFC 9110, 12.4.2) of a media type in an Accept header; 0 if it is not named. */
function acceptWeight(accept: string, mediaType: string): number {
  for (const range of accept.toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    if (type !== mediaType) continue;
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    return q === undefined ? 1 : Number(q.slice(2)) || 0;
  }
  return 0;
}

/** A response that has begun: its bytes are produced on demand. */
type StreamingContent = { contentType: string; body: AsyncIterable<Uint8Array> };

/** Tells an EventSource not to reconnect. */
type NothingFollows = "nothing follows";

const encoder = new TextEncoder();

/**
 * Encodes a stream of messages. An error after the first message ends it with the Status as last line or event. Waits for the
 * first message, so that an error in its place is thrown and gets its HTTP status, but at most `firstMessageMs`: an idle watch
 * must still answer. Returning the body early returns the messages' iterator.
 *
 * @returns "nothing follows" for an EventSource if the stream ends within `firstMessageMs` without a message, or with only one
 * that has no position
 */
export async function encodeStream(
  route: RestRoute,
  messages: AsyncIterable<Message>,
  options: {
    accept: string | null;
    form: JsonForm;
    resumption: Resumption | undefined;
    firstMessageMs: number;
    keepAliveMs: number;
  },
): Promise<StreamingContent | NothingFollows> {
  const { form, resumption, firstMessageMs, keepAliveMs } = options;
  const iterator = messages[Symbol.asyncIterator]();
  const first = iterator.next();
  const early = await within(first, firstMessageMs);
  if (answersHttpBody(route)) {
    // The content type depends on the first message, so nothing can be answered before it.
    const result = early ?? (await first);
    const contentType = result.done
      ? "application/octet-stream"
      : encodeResponse(route, result.value, form).contentType;
    return { contentType, body: rawBody(route, iterator, result, form) };
  }
  const format = streamFormat(options.accept);
  const encode = (message: Message) =>
    format.message(JSON.stringify(responseJson(route, message, form)), resumption?.idOf(message));
  const fail = (error: unknown) => format.error(JSON.stringify(statusJson(error, form)));
  const read = [first];
  if (format === serverSentEvents && early !== undefined) {
    if (early.done) return "nothing follows";
    if (resumption !== undefined && resumption.idOf(early.value) === undefined) {
      const second = iterator.next();
      // Its rejection is reported where it is awaited later.
      second.catch(() => undefined);
      read.push(second);
      const result = await within(second, firstMessageMs).catch(() => undefined);
      if (result?.done) return "nothing follows";
    }
  }
  return { contentType: format.contentType, body: textBody(iterator, read, format, encode, fail, keepAliveMs) };
}

/** @param read the results already requested from the iterator, at least one */
async function* textBody(
  iterator: AsyncIterator<Message>,
  read: Promise<IteratorResult<Message>>[],
  format: StreamFormat,
  encode: (message: Message) => string,
  fail: (error: unknown) => string,
  keepAliveMs: number,
): AsyncGenerator<Uint8Array> {
  let next = read.shift()!;
  let finished = false;
  try {
    if (format.start !== "") yield encoder.encode(format.start);
    while (true) {
      let result = await within(next, keepAliveMs);
      while (result === undefined) {
        if (format.keepAlive !== "") yield encoder.encode(format.keepAlive);
        result = await within(next, keepAliveMs);
      }
      if (result.done) break;
      yield encoder.encode(encode(result.value));
      next = read.shift() ?? iterator.next();
    }
    finished = true;
    if (format.end !== "") yield encoder.encode(format.end);
  } catch (error) {
    finished = true;
    yield encoder.encode(fail(error));
  } finally {
    if (!finished) abandon(iterator, next);
  }
}

async function* rawBody(
  route: RestRoute,
  iterator: AsyncIterator<Message>,
  first: IteratorResult<Message>,
  form: JsonForm,
): AsyncGenerator<Uint8Array> {
  let result = first;
  try {
    for (; !result.done; result = await iterator.next()) yield encodeResponse(route, result.value, form).bytes;
  } finally {
    if (!result.done) abandon(iterator, undefined);
  }
}

/** Ends a stream whose reader has gone; a generator that waits in next() can only be returned after it. */
function abandon(iterator: AsyncIterator<Message>, pending: Promise<unknown> | undefined): void {
  pending?.catch(() => undefined);
  iterator.return?.().catch(() => undefined);
}

/** The value of `promise`, or undefined if it takes longer; the promise stays usable. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
