import type { IncomingHttpHeaders } from "node:http";
import { type MuxCall, NodeHeaders } from "@shop/http-port";
import type { RestTarget, Transcoder } from "@shop/rest";
import type { Admission } from "../pipeline/admission.ts";
import { publicCaching } from "../pipeline/cacheable.ts";
import type { Call, Classify } from "../pipeline/classify.ts";
import { callerGone } from "../pipeline/errors.ts";
import type { tracedCalls } from "../pipeline/tracing.ts";
import { encodeProtocolError } from "../protocols/protocol-error.ts";
import { cachedRestAnswer, type FindCachedAnswer } from "./cached-answers.ts";
import { isBinary, isUsualConnect, runConnect } from "./connect.ts";
import { isBinaryGrpc, isUsualGrpc, runGrpc } from "./grpc.ts";
import type { UnaryMethods } from "./unary-method.ts";

/**
 * Whether these headers are those of a unary call of Connect or gRPC that {@link muxCalls} probably takes; if not, the way over a
 * multiplexed connection would be a detour.
 */
export function isUsualUnary(headers: IncomingHttpHeaders): boolean {
  const type = headers["content-type"];
  return (isBinary.has(type) || isBinaryGrpc.has(type)) && !("content-encoding" in headers);
}

/** Answers a call of a multiplexed connection, or declines it. Never rejects. */
export type AnswerMux = (call: MuxCall) => Promise<void> | void;

const noTrailers = {};

/**
 * Answers calls of multiplexed connections: unary calls of hosted methods that the fast path or the transcoder takes. All others,
 * and messages that do not decode, are declined before anything was done, so that they come again over HTTP.
 */
export function muxCalls(port: {
  readonly classify: Classify;
  readonly traced: ReturnType<typeof tracedCalls>;
  readonly admission: Admission;
  readonly unary: UnaryMethods;
  readonly transcoder: Transcoder;
  readonly findCachedAnswer: FindCachedAnswer;
}): AnswerMux {
  const { classify, traced, admission, unary, transcoder } = port;

  return (call) => {
    const { headers, body } = call;
    const called = classify(call.method, call.path);
    if (called.kind !== "call" || !called.isHosted || called.method.methodKind !== "unary") return call.decline();
    if (body.byteLength > transcoder.readMaxBytes) return call.decline();
    // The frame alone says how long the body is.
    delete headers["transfer-encoding"];
    delete headers["content-length"];
    if (body.byteLength > 0 || call.method === "POST") headers["content-length"] = String(body.byteLength);

    return traced(called, (call: MuxCall) => answer(called, call))(call);
  };

  function answer(called: Call, call: MuxCall): Promise<void> | void {
    const { headers } = call;
    const refusal = admission.refusal(called.method);
    if (refusal !== undefined) {
      admission.refuse(called.method, refusal, {
        refuse(error) {
          const encoded = encodeProtocolError({ headers, url: call.path }, error);
          const head = { ...encoded.headers, "content-length": encoded.body.byteLength };
          call.answer(encoded.status, head, encoded.body, noTrailers);
        },
      });
      return;
    }
    return called.rest === undefined ? answerRpc(called, call) : answerRest(called, called.rest, call);
  }

  async function answerRpc({ method }: Call, call: MuxCall): Promise<void> {
    const { headers, path } = call;
    const one = unary.get(method);
    const io = {
      headers,
      path,
      readBody: () => call.body,
      onCallerGone: (gone: () => void) => call.onClose(gone),
    };
    if (one === undefined || call.method !== "POST") return call.decline();
    if (isUsualConnect(headers, one)) {
      const outcome = await runConnect(one, io);
      if (!("answer" in outcome)) return call.decline();
      const { status, headers: head, body } = outcome.answer;
      call.answer(status, head, body, noTrailers);
    } else if (isUsualGrpc(headers, one)) {
      const outcome = await runGrpc(one, io);
      if (!("answer" in outcome)) return call.decline();
      const { headers: head, body, trailers } = outcome.answer;
      call.answer(200, head, body, trailers);
    } else call.decline();
  }

  async function answerRest(_called: Call, target: RestTarget, call: MuxCall): Promise<void> {
    const headers = new NodeHeaders(call.headers);
    const hasBody = call.body.byteLength > 0;
    const cached = hasBody ? undefined : cachedRestAnswer(port.findCachedAnswer, call.headers, target);
    if (cached !== undefined) {
      const result = { message: cached, header: undefined, trailer: undefined };
      const answer = transcoder.respond({ method: call.method, target, headers }, result);
      call.answer(answer.status, { ...publicCaching, ...answer.headers }, answer.body as Uint8Array, noTrailers);
      return;
    }
    let abort: AbortController | undefined;
    const answer = await transcoder.handle({
      method: call.method,
      target,
      headers,
      body: hasBody ? inOnePiece(call.body) : null,
      get signal() {
        if (abort === undefined) {
          const made = new AbortController();
          abort = made;
          call.onClose((code) => {
            if (code !== 0) made.abort(callerGone);
          });
        }
        return abort.signal;
      },
    });
    call.answer(answer.status, answer.headers, answer.body as Uint8Array, noTrailers);
  }
}

async function* inOnePiece(body: Uint8Array): AsyncIterable<Uint8Array> {
  yield body;
}
