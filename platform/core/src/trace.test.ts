import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createBatcher } from "./batcher.ts";
import {
  currentTrace,
  inJointTrace,
  inNewTrace,
  inSpan,
  inTrace,
  inTraceOf,
  receiveTrace,
  recordTraces,
  startServerSpan,
  traceAbout,
  traceOf,
} from "./trace.ts";

const theirs = "a".repeat(32);
const given = (flags: string, id = theirs) => `00-${id}-${"b".repeat(16)}-${flags}`;
const sampled = given("01");
const unsampled = given("00");

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
let samplesNew = true;
let granted = 0;
let started = 0;

beforeEach(() => {
  exporter.reset();
  samplesNew = true;
  granted = 0;
  started = 0;
  const tracer = provider.getTracer("test");
  recordTraces({
    tracer: {
      startSpan: (...span) => {
        started++;
        return tracer.startSpan(...span);
      },
      startActiveSpan: tracer.startActiveSpan,
    },
    samplesNew: () => samplesNew,
    grantsRequest: () => granted-- > 0,
  });
});
afterEach(() => recordTraces(undefined));

const spans = () => exporter.getFinishedSpans();
const named = (name: string) => spans().filter((span) => span.name === name);
const parentOf = (span: ReadableSpan) => span.parentSpanContext?.spanId;
const linksOf = (span: ReadableSpan) => span.links.map(({ context }) => `${context.traceId} ${context.spanId}`);
const placeOf = (span: ReadableSpan) => `${span.spanContext().traceId} ${span.spanContext().spanId}`;

test("the sampled flag is read before a span is made: nothing is recorded of other work, and its traceparent is passed on as it is", async () => {
  samplesNew = false;
  for (const traceparent of [unsampled, given("02"), undefined, "garbage", given("01", "0".repeat(32))]) {
    await inTrace(traceOf({ traceparent }), () => inSpan("one", {}, async () => {}));
  }
  await inNewTrace("job", {}, async () => {
    expect(currentTrace()?.traceparent).toMatch(/-00$/);
  });
  await inJointTrace("batch", {}, [traceOf({ traceparent: unsampled }), undefined], async () => {});
  expect(started).toBe(0);
  expect(traceOf({ traceparent: unsampled, tracestate: "vendor=1" })).toMatchObject({
    traceparent: unsampled,
    tracestate: "vendor=1",
  });
});

test("without a recorder a sampled trace is passed on unchanged, so that other processes record it", async () => {
  recordTraces(undefined);
  const headers = { traceparent: sampled, tracestate: "vendor=1" };
  expect(receiveTrace(headers, "continued")).toBeUndefined();
  await inTraceOf(new Headers(headers), async () => {
    expect(await inSpan("one", {}, async () => currentTrace()?.traceparent)).toBe(sampled);
  });
  expect(headers).toEqual({ traceparent: sampled, tracestate: "vendor=1" });
});

test("a caller that is trusted chooses the trace, its sampling and its tracestate", async () => {
  samplesNew = false;
  const headers = { traceparent: sampled, tracestate: "vendor=1" };
  const trace = startServerSpan("call", {}, receiveTrace(headers, "continued")!, headers);
  trace.end();
  expect(headers).toEqual({ traceparent: trace.traceparent, tracestate: "vendor=1" });
  expect(trace).toMatchObject({ id: theirs, tracestate: "vendor=1" });
  const [span] = spans();
  expect(parentOf(span!)).toBe("b".repeat(16));
  expect(span!.spanContext().traceState?.serialize()).toBe("vendor=1");

  samplesNew = true;
  const refused = { traceparent: unsampled, tracestate: "vendor=1" };
  expect(receiveTrace(refused, "continued")).toBeUndefined();
  expect(refused).toEqual({ traceparent: unsampled, tracestate: "vendor=1" });
});

test.each([
  [`01-${theirs}-${"b".repeat(16)}-01-extra`, sampled],
  [`cc-${theirs}-${"b".repeat(16)}-09`, sampled],
  [`01-${theirs}-${"b".repeat(16)}-02-`, unsampled],
])("a traceparent of a later version, %s, is continued in version 00", (traceparent, known) => {
  expect(traceOf({ traceparent }).traceparent).toBe(known);
  const headers: Record<string, string> = { traceparent };
  const received = receiveTrace(headers, "continued");
  expect(received?.parent?.traceparent).toBe(known === sampled ? known : undefined);
  expect(headers.traceparent).toBe(known);
});

test.each([
  `ff-${theirs}-${"b".repeat(16)}-01`,
  `${sampled}-extra`,
  `${sampled}-`,
  `01-${theirs}-${"b".repeat(16)}-01extra`,
  `01-${"0".repeat(32)}-${"b".repeat(16)}-01`,
  `01-${theirs}-${"b".repeat(16)}-1`,
])("%s is no traceparent: the trace is new", (traceparent) => {
  expect(traceOf({ traceparent }).id).not.toBe(theirs);
  expect(receiveTrace({ traceparent }, "continued")?.parent).toBeUndefined();
});

test("any other caller gets a new trace that is linked to its own", () => {
  const headers: Record<string, string> = {
    traceparent: sampled,
    tracestate: "vendor=1",
    "x-caller-traceparent": given("01", "c".repeat(32)),
  };
  const trace = startServerSpan("call", {}, receiveTrace(headers, "linked")!, headers);
  trace.end();
  expect(trace.id).not.toBe(theirs);
  expect(trace.callerId).toBe(theirs);
  expect(headers).toEqual({ traceparent: trace.traceparent, "x-caller-traceparent": sampled });
  const [span] = spans();
  expect(parentOf(span!)).toBeUndefined();
  expect(linksOf(span!)).toEqual([`${theirs} ${"b".repeat(16)}`]);
});

test("a caller's sampled flag is followed within the budget, and never keeps a call from being sampled", () => {
  samplesNew = false;
  granted = 1;
  const ask = (traceparent: string) => {
    const headers: Record<string, string> = { traceparent };
    return { received: receiveTrace(headers, "linked"), passedOn: headers.traceparent };
  };
  expect(ask(unsampled).received).toBeUndefined();
  expect(ask(sampled).received).toBeDefined();
  const refused = ask(sampled);
  expect(refused.received).toBeUndefined();
  expect(refused.passedOn).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  expect(refused.passedOn).not.toContain(theirs);
  samplesNew = true;
  expect(ask(unsampled).received).toBeDefined();
});

test("a call without traceparent is decided once: the next process gets the decision", () => {
  samplesNew = false;
  for (const callers of ["linked", "continued"] as const) {
    const headers: Record<string, string> = {};
    expect(receiveTrace(headers, callers)).toBeUndefined();
    samplesNew = true;
    expect(receiveTrace(headers, "continued")).toBeUndefined();
    samplesNew = false;
  }
});

test("an invalid or overlong tracestate is dropped", () => {
  for (const tracestate of ["a=\u0007", `a=${"x".repeat(512)}`, "a=\u00e9"])
    expect(traceOf({ traceparent: sampled, tracestate }).tracestate).toBeUndefined();
});

test("a failed span has the kind of its error, and not its message", async () => {
  const failing = inNewTrace("job", {}, async () => {
    throw Object.assign(new Error("secret"), { code: "E42" });
  });
  await expect(failing).rejects.toThrow("secret");
  const [span] = spans();
  expect(span).toMatchObject({ attributes: { "error.type": "E42" }, status: { code: 2 }, events: [] });
  expect(JSON.stringify([span!.attributes, span!.status])).not.toContain("secret");
});

test("joint work has a trace of its own, and a span in the trace of each sampled member; they link to each other", async () => {
  const others = given("01", "d".repeat(32));
  const members = [sampled, others, unsampled].map((traceparent) => traceOf({ traceparent }));
  const keys = ["one", "two", "three"];
  await inJointTrace(
    "batch",
    {},
    members,
    async () => {
      expect(traceAbout("one")?.id).toBe(theirs);
      expect(traceAbout("two")?.id).toBe("d".repeat(32));
      expect(traceAbout("three")).toBe(currentTrace());
      await inSpan("inside", {}, async () => {
        expect(traceAbout("one")?.id).toBe(theirs);
      });
    },
    (index) => keys[index]!,
  );
  const batch = named("batch");
  expect(batch).toHaveLength(3);
  const own = batch.filter((span) => parentOf(span) !== undefined);
  const joint = batch.find((span) => parentOf(span) === undefined)!;
  expect(own.map((span) => span.spanContext().traceId)).toEqual([theirs, "d".repeat(32)]);
  for (const span of own) expect(linksOf(span)).toEqual([placeOf(joint)]);
  expect(linksOf(joint)).toEqual([`${theirs} ${"b".repeat(16)}`, `${"d".repeat(32)} ${"b".repeat(16)}`]);
  expect(parentOf(named("inside")[0]!)).toBe(joint.spanContext().spanId);
});

test("a batch of one item runs in its trace, and the next batch in none of an earlier one", async () => {
  const seen: (string | undefined)[] = [];
  const add = createBatcher<string>({
    name: "batch",
    maxItems: 1,
    maxInFlight: 1,
    async work([item]) {
      seen.push(`${item} ${currentTrace()?.id}`);
      return new Map();
    },
  });
  const other = traceOf({ traceparent: given("00", "c".repeat(32)) });
  await Promise.all([
    inTrace(traceOf({ traceparent: unsampled }), () => add("first")),
    inTrace(other, () => add("second")),
    inTrace(undefined, () => add("third")),
  ]);
  expect(seen).toEqual([`first ${theirs}`, `second ${other.id}`, "third undefined"]);
});
