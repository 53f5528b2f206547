import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import {
  currentTrace,
  inTrace,
  receiveTrace,
  SpanKind,
  SpanStatusCode,
  startServerSpan,
  startSpan,
  type Trace,
} from "@shop/core";
import type { Exchange } from "../exchange.ts";
import type { Call } from "./classify.ts";

/** What is read of a call, in HTTP (an `Exchange`) or on a multiplexed connection, which has no version of HTTP. */
type Traceable = Pick<Exchange, "headers" | "method" | "sent" | "onClose"> & { readonly httpVersion?: 1 | 2 };
/** Answers a call; never rejects. */
type Answer<Received> = (received: Received) => Promise<void> | void;

/** How a port treats the trace context of its callers: see receiveTrace in @shop/core. */
export type CallerTraces = "continued" | "linked";

/**
 * Records a server span for each sampled call, in every protocol, hosted or forwarded, answered or refused: from the end of its
 * head to the end of its answer. Other calls pass unchanged.
 */
export function tracedCalls(
  callers: CallerTraces,
): <Received extends Traceable>(call: Call, answer: Answer<Received>) => Answer<Received> {
  return (call, answer) => (exchange) => {
    const received = receiveTrace(exchange.headers, callers);
    if (received === undefined) return answer(exchange);
    const options = { kind: SpanKind.SERVER, attributes: attributesOf(call, exchange) };
    const trace = startServerSpan(nameOf(call.method), options, received, exchange.headers);
    exchange.onClose((resetCode) => endServerSpan(trace, exchange, resetCode));
    return inTrace(trace, () => answer(exchange));
  };
}

/** A method's name in OpenTelemetry's conventions. */
function nameOf({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

function attributesOf({ method, rest }: Call, { headers, method: httpMethod, httpVersion }: Traceable) {
  const route = rest?.match.kind === "match" ? rest.match.route.path : undefined;
  return {
    "rpc.system.name": systemOf(headers["content-type"], route !== undefined),
    "rpc.method": nameOf(method),
    ...(httpVersion !== undefined && {
      "network.protocol.name": "http",
      "network.protocol.version": httpVersion === 2 ? "2" : "1.1",
    }),
    ...(route !== undefined && { "http.request.method": httpMethod, "http.route": route }),
  };
}

function systemOf(contentType: string | undefined, isRest: boolean): string {
  if (isRest) return "rest";
  return contentType?.startsWith("application/grpc") ? "grpc" : "connectrpc";
}

function endServerSpan(
  trace: Trace,
  { sent: { status, grpcStatus }, httpVersion }: Traceable,
  resetCode: number,
): void {
  // A declined call comes again over HTTP, and its span is recorded there.
  if (httpVersion === undefined && status === undefined && resetCode === 0) return;
  if (status === undefined || resetCode !== 0) {
    trace.span?.setAttribute("error.type", "connection_closed");
  } else {
    trace.span?.setAttribute("http.response.status_code", status);
    // Other protocols name the code in the body: of a call that was refused before it ran only the status is known.
    if (grpcStatus !== undefined) setOutcome(trace, grpcStatus === "0" ? "ok" : codeToString(Number(grpcStatus)));
    else if (status >= 500) trace.span?.setStatus({ code: SpanStatusCode.ERROR });
  }
  trace.end();
}

/** Starts the span of a call to another service; undefined unless spans of the current trace are recorded. */
export function startClientSpan(method: DescMethod): Trace | undefined {
  if (!currentTrace()?.isRecorded) return undefined;
  const name = nameOf(method);
  return startSpan(name, {
    kind: SpanKind.CLIENT,
    attributes: { "rpc.system.name": "connectrpc", "rpc.method": name },
  });
}

/** Ends the span of a call to another service. */
export function endClientSpan(span: Trace, code: string): void {
  setOutcome(span, code);
  span.end();
}

/** Codes of failures of the service; other errors are those of the request. */
const failures: ReadonlySet<string> = new Set(
  [Code.Unknown, Code.DeadlineExceeded, Code.Unimplemented, Code.Internal, Code.Unavailable, Code.DataLoss].map(
    (code) => codeToString(code),
  ),
);

/** Sets the outcome of a call on its span. `code` is Connect's name of its code, or `ok`. */
export function setOutcome(trace: Trace | undefined, code: string): void {
  const span = trace?.span;
  if (span === undefined) return;
  span.setAttribute("rpc.status_code", code);
  if (code !== "ok") span.setAttribute("error.type", code);
  if (failures.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
}

/** Connect's name of the code of an error that a call ended with; `ok` for none. */
export function codeOf(error: unknown): string {
  return error === undefined ? "ok" : codeToString(ConnectError.from(error).code);
}
