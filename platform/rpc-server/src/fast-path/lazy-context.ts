import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { NodeHeaders } from "@shop/http-port";
import { callerGone } from "../pipeline/errors.ts";

/** Shared by all calls: a new error with its stack would cost more than most calls. */
const callEnded = new ConnectError("the call has ended", Code.Canceled);

const noDeadline = () => undefined;
/** The longest delay of Node's timers, 25 days. A longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/** The origin of a call. */
export interface CallSource {
  readonly method: DescMethod;
  readonly protocolName: string;
  readonly requestMethod: string;
  /** An absolute URL that ends in the path of the request. */
  readonly url: string;
  readonly header: Headers;
  /** Milliseconds from now. */
  readonly timeoutMs: number | undefined;
  /** Calls `gone` once when the caller has gone, at once if it already has. Used only if the method reads the signal. */
  onCallerGone(gone: () => void): void;
}

/** A handler context that creates its signal and timer only when they are read. */
export interface LazyContext extends HandlerContext {
  readonly responseHeader: NodeHeaders;
  readonly responseTrailer: NodeHeaders;
  /** Aborts the signal, so that work started by the method under it ends. */
  end(): void;
}

export function createLazyContext(source: CallSource): LazyContext {
  const { method, timeoutMs } = source;
  // Whole milliseconds, although gRPC has finer units: `timeoutMs()` is expected to be an integer.
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

  // Not a class: interceptors and methods copy contexts by `...`, which drops a class's accessors. Only the signal is an
  // accessor: creating one costs more than creating headers that may never be read.
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
