import { constants } from "node:http2";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createContextValues,
  type Interceptor,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { codeFromHttpStatus, errorFromJsonBytes, trailerDemux } from "@connectrpc/connect/protocol-connect";
import { type MuxRequestHead, NodeHeaders } from "@shop/http-port";
import type { MuxAnswer, MuxLink, MuxOutcome } from "./mux-link.ts";
import type { MuxLinks } from "./mux-links.ts";

/**
 * A transport that makes unary calls on multiplexed connections, as binary calls of the Connect protocol. While there is no such
 * connection, or if the upstream declines the call, it is made over HTTP, as streams are.
 */
export function createMuxTransport(
  links: MuxLinks,
  options: {
    readonly interceptors: readonly Interceptor[];
    readonly defaultTimeoutMs: number;
    /** Without the interceptors, which have run. */
    readonly unaryOverHttp: Pick<Transport, "unary">;
    readonly streamsOverHttp: Pick<Transport, "stream">;
  },
): Transport {
  const { interceptors, unaryOverHttp, streamsOverHttp } = options;
  return {
    async unary(method, signal, timeoutMs = options.defaultTimeoutMs, header, input, contextValues) {
      const call: AnyFn = async (request) => {
        const message = request.message as MessageShape<typeof method.input>;
        const body = toBinary(method.input, message);
        const head = headOf(method, links.authority, request.header, timeoutMs);
        const link = links.take();
        const answer = link?.carries(head, body.byteLength)
          ? await ask(link, head, body, signal, timeoutMs)
          : undefined;
        return answer === undefined
          ? await unaryOverHttp.unary(method, signal, timeoutMs, request.header, message, contextValues)
          : answerOf(method, answer);
      };
      const headers = new NodeHeaders();
      if (header !== undefined) for (const [name, value] of new Headers(header)) headers.set(name, value);
      const response = await interceptors.reduceRight(
        (next, interceptor) => interceptor(next),
        call,
      )({
        stream: false,
        service: method.parent,
        method,
        requestMethod: "POST",
        url: pathOf(method),
        header: headers,
        signal: signal ?? never,
        contextValues: contextValues ?? createContextValues(),
        message: create(method.input, input),
      });
      return response as UnaryResponse<typeof method.input, typeof method.output>;
    },
    stream: (...call) => streamsOverHttp.stream(...call),
  };
}

type AnyFn = Parameters<Interceptor>[0];

const never = new AbortController().signal;

function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

function headOf(method: DescMethod, host: string, header: Headers, timeoutMs: number): MuxRequestHead {
  const headers = {
    ...Object.fromEntries(header.entries()),
    host,
    "content-type": "application/proto",
    "connect-protocol-version": "1",
    "connect-timeout-ms": String(timeoutMs),
  };
  return { method: "POST", path: pathOf(method), headers };
}

/** The answer; undefined if the call was declined. Rejects with a ConnectError. */
function ask(
  link: MuxLink,
  head: MuxRequestHead,
  body: Uint8Array,
  signal: AbortSignal | undefined,
  timeoutMs: number,
): Promise<MuxAnswer | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = link.call(head, body, (outcome: MuxOutcome) => {
      settle();
      if (outcome.kind === "answered") resolve(outcome.answer);
      else if (outcome.kind === "declined") resolve(undefined);
      else reject(new ConnectError("the connection broke", Code.Unavailable, undefined, undefined, outcome.cause));
    });
    const giveUp = (error: ConnectError) => {
      settle();
      cancel(constants.NGHTTP2_CANCEL);
      reject(error);
    };
    const timeIsUp = () => giveUp(new ConnectError("the operation timed out", Code.DeadlineExceeded));
    const aborted = () => giveUp(ConnectError.from(signal!.reason, Code.Canceled));
    const deadline = setTimeout(timeIsUp, timeoutMs);
    signal?.addEventListener("abort", aborted);
    function settle(): void {
      clearTimeout(deadline);
      signal?.removeEventListener("abort", aborted);
    }
    if (signal?.aborted) aborted();
  });
}

function answerOf<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  { status, headers, body }: MuxAnswer,
): UnaryResponse<Input, Output> {
  const [header, trailer] = trailerDemux(
    new Headers(Object.entries(headers).map(([name, value]) => [name, String(value)])),
  );
  if (status !== 200) {
    const fallback = new ConnectError(`HTTP ${status}`, codeFromHttpStatus(status));
    throw errorFromJsonBytes(body, header, fallback);
  }
  const message = fromBinary(method.output, body);
  return { stream: false, service: method.parent, method, header, trailer, message };
}
