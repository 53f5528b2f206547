import { EventEmitter } from "node:events";
import { IncomingMessage } from "node:http";
import { constants, type Http2Stream } from "node:http2";
import { closeStream } from "./close-stream.ts";

/** The kind of object on which an error occurred, as it is counted. */
export type NetworkObject = "connection" | "session" | "stream" | "request" | "response";

export interface NetworkError {
  readonly on: NetworkObject;
  /** `error`: the object failed, usually because of its peer. `exception`: our own code threw while handling the object. */
  readonly kind: "error" | "exception";
  readonly error: unknown;
}

/**
 * Guards a network object so that its events cannot end the process. A guarded object reports each of its errors, whether or
 * not a listener exists; an exception in a listener, ours, a library's or Node's own, is reported and ends that object alone.
 * Guard an object before its first event that can fail.
 *
 * The guard replaces the object's `emit` rather than wrapping listeners, because libraries add their own listeners, and because
 * an `error` event without a listener throws, too.
 */
export type ListenerGuard = (on: NetworkObject, object: EventEmitter) => void;

type Emit = (this: EventEmitter, event: string | symbol, ...rest: unknown[]) => boolean;
/** The `emit` of guarded objects: one function per kind, so that guarding an object costs one assignment. */
type GuardedEmit = Emit & { readonly caught: (object: EventEmitter, error: unknown) => void };

/** @param report called for each error and each contained exception */
export function createListenerGuard(report: (error: NetworkError) => void): ListenerGuard {
  const emits = new Map<NetworkObject, GuardedEmit>();
  return (on, object) => {
    let emit = emits.get(on);
    if (emit === undefined) {
      emit = guardedEmit(on, report);
      emits.set(on, emit);
    }
    object.emit = emit;
  };
}

function guardedEmit(on: NetworkObject, report: (error: NetworkError) => void): GuardedEmit {
  const unguarded: Emit = EventEmitter.prototype.emit;
  function caught(object: EventEmitter, error: unknown): void {
    report({ on, kind: "exception", error });
    end(object);
  }
  // Passing the arguments through unchanged avoids allocating another array.
  function emit(this: EventEmitter, ...event: Parameters<Emit>): boolean {
    try {
      if (event[0] === "error") {
        report({ on, kind: "error", error: event[1] });
        if (this.listenerCount("error") === 0) return false;
      }
      return unguarded.apply(this, event);
    } catch (error) {
      caught(this, error);
      return true;
    }
  }
  return Object.assign(emit, { caught });
}

/** Runs code that handles a guarded object outside of its events, such as in a timer. An exception ends the object. */
export function contain(object: EventEmitter, work: () => void): void {
  try {
    work();
  } catch (error) {
    caught(object, error);
  }
}

/** The same for asynchronous work: a rejection ends the object. */
export function containRejection(object: EventEmitter, work: Promise<unknown>): void {
  work.catch((error: unknown) => caught(object, error));
}

/** Guards an object that represents part of a guarded one, as Node's request and response do for a stream. */
export function guardLike<Emitter extends EventEmitter>(object: Emitter, guarded: EventEmitter): Emitter {
  if (Object.hasOwn(guarded, "emit")) object.emit = guarded.emit;
  return object;
}

function caught(object: EventEmitter, error: unknown): void {
  const { caught } = object.emit as Partial<GuardedEmit>;
  if (caught === undefined) end(object);
  else caught(object, error);
}

interface Endable {
  /** Set on requests and responses over HTTP/2. */
  readonly stream?: Http2Stream;
  readonly rstCode?: number;
  destroy?(): void;
}

function end(object: EventEmitter & Endable): void {
  const stream = "rstCode" in object ? (object as unknown as Http2Stream) : object.stream;
  if (stream !== undefined) closeStream(stream, constants.NGHTTP2_INTERNAL_ERROR);
  // Destroying a request that has been read in full does not close its connection.
  else if (object instanceof IncomingMessage) object.socket.destroy();
  else object.destroy?.();
}
