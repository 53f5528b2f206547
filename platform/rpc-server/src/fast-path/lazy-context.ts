import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { NodeHeaders } from "@shop/http-port";

/** Made once: an error of its own for every call, with its stack, costs more than most calls. */
const callEnded = new ConnectError("the call has ended", Code.Canceled);
const callerGone = new ConnectError("the caller has gone", Code.Canceled);

const noDeadline = () => undefined;
/** The longest delay of Node's timers, 25 days: a longer one would be none at all. */
const longestTimerMs = 2 ** 31 - 1;

/** What a call comes from. */
export interface CallSource {
  readonly method: DescMethod;
  readonly protocolName: string;
  readonly requestMethod: string;
  /** The path, and whatever comes before it that says something. */
  readonly url: string;
  readonly header: Headers;
  /** From now on. */
  readonly timeoutMs: number | undefined;
  /** Tells once when the caller has gone; at once if that was before. Asked only if the method wants to know. */
  onCallerGone(tell: () => void): void;
}

/** A handler context of which only what somebody reads is made. */
export interface LazyContext extends HandlerContext {
  readonly responseHeader: NodeHeaders;
  readonly responseTrailer: NodeHeaders;
  /** Ends whatever the method has started under its signal. */
  end(): void;
}

export function createLazyContext(source: CallSource): LazyContext {
  const { method, timeoutMs } = source;
  // In whole milliseconds, though gRPC knows smaller units: methods take `timeoutMs()` for an integer.
  const deadline = timeoutMs === undefined ? undefined : Math.trunc(Date.now() + timeoutMs);
  let controller: AbortController | undefined;
  let timer: NodeJS.Timeout | undefined;
  let ended: unknown;

  function abort(reason: unknown): void {
    clearTimeout(timer);
    ended ??= reason;
    controller?.abort(reason);
  }

  function makeController(): AbortController {
    controller = new AbortController();
    if (ended !== undefined) {
      controller.abort(ended);
      return controller;
    }
    if (deadline !== undefined) {
      const timeIsUp = () => abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
      const left = deadline - Date.now();
      if (left <= 0) timeIsUp();
      else timer = setTimeout(timeIsUp, Math.min(left, longestTimerMs));
    }
    source.onCallerGone(() => abort(callerGone));
    return controller;
  }

  // Not a class: interceptors and methods copy contexts by `...`, which leaves a class's accessors behind. One accessor and no
  // more: making one for an object costs more than making the headers that nobody may ask for.
  return {
    service: method.parent,
    method,
    protocolName: source.protocolName,
    requestMethod: source.requestMethod,
    url: source.url,
    requestHeader: source.header,
    values: createContextValues(),
    timeoutMs: deadline === undefined ? noDeadline : () => deadline - Date.now(),
    get signal() {
      return (controller ?? makeController()).signal;
    },
    responseHeader: new NodeHeaders(),
    responseTrailer: new NodeHeaders(),
    end: () => abort(callEnded),
  };
}
