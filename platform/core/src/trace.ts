import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import {
  createTraceState,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace as traceApi,
} from "@opentelemetry/api";
import { errorType } from "./error-type.ts";

/** The W3C Trace Context headers (https://www.w3.org/TR/trace-context/). */
export const traceparentHeader = "traceparent";
export const tracestateHeader = "tracestate";

/** Carries an external caller's own `traceparent` to services; the public port sets or removes it on every request. */
export const callerTraceparentHeader = "x-caller-traceparent";

/** What a process passes on to the next one: the values of the two headers. */
export interface TraceFields {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

/** Records spans of sampled traces. */
export interface TraceRecorder {
  readonly tracer: Tracer;
  /** Decides whether to sample a trace that begins in this process. */
  samplesNew(): boolean;
  /** Whether one more external caller may have its call sampled because it asks for that. */
  grantsRequest(): boolean;
}

/** A later version than 00 may have more after the flags; ff is none. */
const traceparentFormat =
  /^(?:00(?=.{53}$)|(?!00|ff)[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/;
/** The longest `tracestate` that every system has to pass on (W3C Trace Context 3.3.1.5); a longer one is dropped. */
const tracestateFormat = /^[\x20-\x7e]{1,512}$/;
const sampledBit = 1;

const current = new AsyncLocalStorage<Trace | undefined>();
let recorder: TraceRecorder | undefined;

/**
 * The place of some work in a trace. Whether the trace is sampled is known before anything is recorded: without it there is no
 * span, and ids are created when they are read, since most calls need none.
 */
export class Trace {
  /** Whether its spans are recorded, here or in another process. */
  readonly isSampled: boolean;
  readonly tracestate: string | undefined;
  /** The trace id of the external caller, which is only linked to. */
  readonly callerId: string | undefined;
  /** The span of this work; undefined if it is not recorded in this process. */
  readonly span: Span | undefined;
  /** For joint work: the traces of its members, by key. */
  readonly members: ReadonlyMap<string, Trace> | undefined;
  #traceparent: string | undefined;
  #id: string | undefined;

  /** A new trace that is not sampled, unless one of these is given. */
  constructor(from: {
    readonly fields?: TraceFields | undefined;
    readonly span?: Span;
    readonly callerId?: string | undefined;
    readonly within?: Trace | undefined;
    readonly members?: ReadonlyMap<string, Trace> | undefined;
  }) {
    const { fields, span, within } = from;
    this.span = span;
    this.callerId = from.callerId ?? within?.callerId;
    this.tracestate = fields?.tracestate ?? within?.tracestate;
    this.#traceparent = fields?.traceparent;
    this.members = from.members ?? within?.members;
    this.isSampled = span !== undefined || isSampled(this.#traceparent);
  }

  /** 32 hex digits. */
  get id(): string {
    this.#id ??= this.span?.spanContext().traceId ?? this.#traceparent?.slice(3, 35) ?? newTraceId();
    return this.#id;
  }

  /** For calls and events of this work. One that was received is passed on unchanged unless a span was recorded here. */
  get traceparent(): string {
    this.#traceparent ??=
      this.span === undefined
        ? newTraceparent(this.id)
        : `00-${this.span.spanContext().traceId}-${this.span.spanContext().spanId}-01`;
    return this.#traceparent;
  }

  /** Whether this work already is in the trace that a request names. */
  isNamedBy(traceparent: string): boolean {
    return this.#traceparent === traceparent;
  }

  /** Whether its spans are recorded in this process. */
  get isRecorded(): boolean {
    return this.isSampled && recorder !== undefined;
  }

  get context(): SpanContext {
    if (this.span !== undefined) return this.span.spanContext();
    const { traceparent, tracestate } = this;
    return {
      traceId: this.id,
      spanId: traceparent.slice(36, 52),
      traceFlags: TraceFlags.SAMPLED,
      isRemote: true,
      ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }),
    };
  }

  /** Ends the span, if there is one. */
  end(error?: unknown): void {
    if (error !== undefined) {
      this.span?.setStatus({ code: SpanStatusCode.ERROR });
      this.span?.setAttribute("error.type", errorType(error));
    }
    this.span?.end();
  }
}

/** Records spans from now on; undefined stops it. One recorder per process. */
export function recordTraces(by: TraceRecorder | undefined): void {
  recorder = by;
}

/** Whether spans are recorded in this process. */
export function recordsTraces(): boolean {
  return recorder !== undefined;
}

/** The trace that these fields name; a new one that is not sampled if `traceparent` is absent or invalid. */
export function traceOf(fields: TraceFields, callerId?: string): Trace {
  return new Trace({ fields: validFields(fields), callerId });
}

/** The trace that these fields name, if spans of it are recorded here. */
export function recordedTraceOf(fields: TraceFields): Trace | undefined {
  return recorder !== undefined && isSampled(fields.traceparent) ? traceOf(fields) : undefined;
}

/** Runs `work` in a trace. */
export function inTrace<Result>(trace: Trace | undefined, work: () => Result): Result {
  return current.run(trace, work);
}

/**
 * Runs the work of a call in the trace that its headers name, or in a new one if they name none. A call that is already in that
 * trace stays in its span.
 */
export function inTraceOf<Result>(headers: Pick<Headers, "get">, work: () => Result): Result {
  const traceparent = headers.get(traceparentHeader) ?? undefined;
  if (traceparent !== undefined && current.getStore()?.isNamedBy(traceparent)) return work();
  const tracestate = traceparent === undefined ? undefined : (headers.get(tracestateHeader) ?? undefined);
  return current.run(traceOf({ traceparent, tracestate }, idOf(headers.get(callerTraceparentHeader))), work);
}

/** Headers as Node parses them. */
type HeaderFields = Record<string, string | string[] | undefined>;

/** A call whose server span is to be recorded. */
export interface ReceivedTrace {
  /** Undefined for a new trace. */
  readonly parent: Trace | undefined;
  readonly links: Link[];
  readonly callerId: string | undefined;
}

/**
 * Decides about the trace of a call that a port received; undefined if no span of it is recorded here. Changes `headers` to what
 * is passed on.
 *
 * @param callers `continued` if callers choose the trace and whether it is sampled: services, and clients that are trusted.
 * `linked` for other clients: the call begins a new trace, so that no client chooses the id by which audits are searched, or
 * has all its calls recorded.
 */
export function receiveTrace(headers: HeaderFields, callers: "continued" | "linked"): ReceivedTrace | undefined {
  const given = validFields({
    traceparent: headers[traceparentHeader] as string | undefined,
    tracestate: headers[tracestateHeader]?.toString(),
  });
  if (callers === "continued") {
    const callerId = idOf(headers[callerTraceparentHeader]);
    if (given !== undefined) {
      headers[traceparentHeader] = given.traceparent;
      return recorder !== undefined && isSampled(given.traceparent)
        ? { parent: new Trace({ fields: given }), links: [], callerId }
        : undefined;
    }
    if (recorder?.samplesNew()) return { parent: undefined, links: [], callerId };
    if (recorder !== undefined) headers[traceparentHeader] = newTraceparent(newTraceId());
    return undefined;
  }
  const wasGiven = headers[traceparentHeader] !== undefined;
  if (headers[callerTraceparentHeader] !== undefined) delete headers[callerTraceparentHeader];
  if (headers[tracestateHeader] !== undefined) delete headers[tracestateHeader];
  if (given !== undefined) headers[callerTraceparentHeader] = given.traceparent;
  const isRequested = isSampled(given?.traceparent);
  if (recorder?.samplesNew() || (isRequested && recorder?.grantsRequest())) {
    const caller = given && new Trace({ fields: given });
    return { parent: undefined, links: caller ? [{ context: caller.context }] : [], callerId: caller?.id };
  }
  if (wasGiven || recorder !== undefined) headers[traceparentHeader] = newTraceparent(newTraceId());
  return undefined;
}

/** Starts the server span of a received call, and names it in `headers` for those to whom they are passed on. */
export function startServerSpan(
  name: string,
  options: SpanOptions,
  received: ReceivedTrace,
  headers: HeaderFields,
): Trace {
  const { parent, links, callerId } = received;
  const trace = start(name, { ...options, links }, parent, callerId);
  headers[traceparentHeader] = trace.traceparent;
  return trace;
}

/** Starts a span within the current trace, or within `parent`; undefined unless spans of that trace are recorded here. */
export function startSpan(name: string, options: SpanOptions, parent = current.getStore()): Trace | undefined {
  return parent?.isRecorded ? start(name, options, parent) : undefined;
}

/** Runs `work` in a span, if spans of the current trace are recorded. */
export async function inSpan<Result>(
  name: string,
  options: SpanOptions,
  work: (span: Trace | undefined) => Promise<Result>,
  parent = current.getStore(),
): Promise<Result> {
  const span = startSpan(name, options, parent);
  return span === undefined ? await work(undefined) : await untilDone([span], span, () => work(span));
}

/** Runs `work` in a new trace, which is sampled or not like any that begins in this process. */
export async function inNewTrace<Result>(
  name: string,
  options: SpanOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  if (!recorder?.samplesNew()) return await current.run(new Trace({}), work);
  const trace = start(name, options, undefined);
  return await untilDone([trace], trace, work);
}

/**
 * Runs work that was joined from members of several traces. One member's work stays in its trace. The work of several has a
 * trace of its own, which is sampled if one of them is; each sampled member has a span of the same time in its own trace, and
 * the two are linked.
 *
 * @param keyOf keys of the members: work about a key, such as an event, belongs to that member's trace ({@link traceAbout})
 */
export async function inJointTrace<Result>(
  name: string,
  options: SpanOptions,
  members: readonly (Trace | undefined)[],
  work: () => Promise<Result>,
  keyOf?: (index: number) => string,
): Promise<Result> {
  if (members.length === 1) return await current.run(members[0], work);
  const sampled = recorder === undefined ? [] : [...members.keys()].filter((index) => members[index]?.isSampled);
  if (sampled.length === 0) return await current.run(new Trace({}), work);
  const { span } = start(name, { ...options, links: sampled.map((index) => linkTo(members[index]!)) }, undefined);
  const link = { context: span!.spanContext() };
  const own = sampled.map((index) => start(name, { ...options, links: [link] }, members[index]));
  const joint = new Trace({
    span: span!,
    members: keyOf && new Map(sampled.map((index, n) => [keyOf(index), own[n]!])),
  });
  return await untilDone([...own, joint], joint, work);
}

async function untilDone<Result>(ended: readonly Trace[], trace: Trace, work: () => Promise<Result>): Promise<Result> {
  try {
    const result = await current.run(trace, work);
    for (const one of ended) one.end();
    return result;
  } catch (error) {
    for (const one of ended) one.end(error);
    throw error;
  }
}

function start(name: string, options: SpanOptions, parent: Trace | undefined, callerId?: string): Trace {
  const within =
    parent === undefined
      ? ROOT_CONTEXT
      : parent.span === undefined
        ? traceApi.setSpanContext(ROOT_CONTEXT, parent.context)
        : traceApi.setSpan(ROOT_CONTEXT, parent.span);
  return new Trace({ span: recorder!.tracer.startSpan(name, options, within), callerId, within: parent });
}

export function linkTo(trace: Trace): Link {
  return { context: trace.context };
}

/** The trace of the current work; undefined outside of any. */
export function currentTrace(): Trace | undefined {
  return current.getStore();
}

/** The trace for work about a key: that of the batch's member with this key, or else the current one. */
export function traceAbout(key: string): Trace | undefined {
  const trace = current.getStore();
  return trace?.members?.get(key) ?? trace;
}

/** The id of the current trace, 32 hex digits; undefined outside of any. */
export function currentTraceId(): string | undefined {
  return current.getStore()?.id;
}

function validFields({ traceparent: given, tracestate }: TraceFields): TraceFields | undefined {
  if (given === undefined || !traceparentFormat.test(given)) return undefined;
  const traceparent = given.startsWith("00") ? given : inKnownVersion(given);
  if (tracestate === undefined) return { traceparent };
  return { traceparent, ...(tracestateFormat.test(tracestate) && { tracestate }) };
}

/** A `traceparent` of a later version as one of version 00, with the fields and the flag that this version has. */
function inKnownVersion(traceparent: string): string {
  return `00${traceparent.slice(2, 53)}${isSampled(traceparent) ? "01" : "00"}`;
}

function idOf(traceparent: string | string[] | null | undefined): string | undefined {
  return typeof traceparent === "string" && traceparentFormat.test(traceparent) ? traceparent.slice(3, 35) : undefined;
}

function isSampled(traceparent: string | undefined): boolean {
  return traceparent !== undefined && (Number.parseInt(traceparent.slice(53, 55), 16) & sampledBit) !== 0;
}

/** 32 hex digits, of which 122 bits are random. randomUUID is cheap, since Node draws UUIDs from a pool. */
function newTraceId(): string {
  return randomUUID().replaceAll("-", "");
}

/** Of work without a span, so its span id identifies nothing, and needs no further randomness. */
function newTraceparent(id: string): string {
  return `00-${id}-${id.slice(16)}-00`;
}
