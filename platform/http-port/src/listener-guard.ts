import { EventEmitter } from "node:events";
import { IncomingMessage } from "node:http";
import { constants, type Http2Stream } from "node:http2";
import { closeStream } from "./close-stream.ts";

/** What an error was seen on, as it is counted. */
export type NetworkObject = "connection" | "session" | "stream" | "request" | "response";

export interface NetworkError {
  readonly on: NetworkObject;
  /** `error`: the object broke, mostly by what its peer did. `exception`: our own code threw while it handled the object. */
  readonly kind: "error" | "exception";
  readonly error: unknown;
}

/**
 * Keeps what happens to an object of the network from ending the process. A guarded object reports each of its errors, whether
 * or not anything listens to them; and what a listener throws, ours, a library's or Node's own, is reported and ends that object
 * alone. It must be guarded before the first event that can fail.
 *
 * Events are guarded at the object, not at each listener, because libraries add listeners of their own, and because an `error`
 * that has no listener is thrown too.
 */
export type ListenerGuard = (on: NetworkObject, object: EventEmitter) => void;

type Emit = (this: EventEmitter, event: string | symbol, ...rest: unknown[]) => boolean;
/** The `emit` of guarded objects: one function for all of a kind, so that guarding an object costs one assignment. */
type GuardedEmit = Emit & { readonly caught: (object: EventEmitter, error: unknown) => void };

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
  // The arguments are passed on as they came, which costs the engine no array of its own.
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

/** Runs what handles a guarded object outside of its events, such as in a timer. What it throws ends the object. */
export function contain(object: EventEmitter, work: () => void): void {
  try {
    work();
  } catch (error) {
    caught(object, error);
  }
}

/** The same for work that goes on: its rejection ends the object. */
export function containRejection(object: EventEmitter, work: Promise<unknown>): void {
  work.catch((error: unknown) => caught(object, error));
}

/** Guards an object that stands for a part of another one, as Node's objects of requests do for a stream. */
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
  /** Of requests and responses over HTTP/2. */
  readonly stream?: Http2Stream;
  readonly rstCode?: number;
  destroy?(): void;
}

function end(object: EventEmitter & Endable): void {
  const stream = "rstCode" in object ? (object as unknown as Http2Stream) : object.stream;
  if (stream !== undefined) closeStream(stream, constants.NGHTTP2_INTERNAL_ERROR);
  // A request that has been read keeps its connection when it is destroyed.
  else if (object instanceof IncomingMessage) object.socket.destroy();
  else object.destroy?.();
}
