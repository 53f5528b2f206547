import { EventEmitter, once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { contain, containRejection, createListenerGuard, guardLike, type NetworkError } from "./listener-guard.ts";
import { type OnePortOptions, OnePortServer, portOf } from "./one-port.ts";
import { opening } from "./testing/http2-frames.ts";

/** An emitter that can be destroyed, like sockets, sessions and streams. */
class Endable extends EventEmitter {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
  }
}

function guarded() {
  const reported: NetworkError[] = [];
  const guard = createListenerGuard((error) => reported.push(error));
  const object = new Endable();
  guard("connection", object);
  return { object, reported };
}

const bug = new Error("a bug");
const throwBug = () => {
  throw bug;
};

test("an exception in a listener is reported and ends its object, and emit() returns", () => {
  const { object, reported } = guarded();
  object.on("data", throwBug);
  expect(object.emit("data", 1, 2, 3)).toBe(true);
  expect(object.destroyed).toBe(true);
  expect(reported).toEqual([{ on: "connection", kind: "exception", error: bug }]);
});

test("an error is reported, also without a listener", () => {
  const { object, reported } = guarded();
  expect(object.emit("error", bug)).toBe(false);
  const received: unknown[] = [];
  object.on("error", (error) => received.push(error));
  expect(object.emit("error", bug)).toBe(true);
  expect(received).toEqual([bug]);
  expect(reported).toEqual(Array(2).fill({ on: "connection", kind: "error", error: bug }));
  expect(object.destroyed).toBe(false);
});

test("listeners get all arguments and their emitter as `this`", () => {
  const { object } = guarded();
  const calls: unknown[] = [];
  object.on("some", function (this: unknown, ...rest) {
    calls.push(this, ...rest);
  });
  object.emit("some", 1, undefined, "three");
  expect(calls).toEqual([object, 1, undefined, "three"]);
});

test("an exception in a timer or a rejected promise ends its object", async () => {
  for (const fail of [contain, (object: Endable) => containRejection(object, Promise.reject(bug))]) {
    const { object, reported } = guarded();
    fail(object, throwBug);
    await Promise.resolve();
    expect(object.destroyed).toBe(true);
    expect(reported).toEqual([{ on: "connection", kind: "exception", error: bug }]);
  }
});

test("an exception while handling an unguarded object ends it, too", () => {
  const object = new Endable();
  contain(object, throwBug);
  expect(object.destroyed).toBe(true);
});

test("an object that represents a guarded one is guarded like it", () => {
  const { object, reported } = guarded();
  const part = guardLike(new Endable(), object);
  part.on("data", throwBug).emit("data");
  expect([part.destroyed, object.destroyed]).toEqual([true, false]);
  expect(reported).toHaveLength(1);
});

async function open(handler: http.RequestListener, options: OnePortOptions = {}) {
  const reported: NetworkError[] = [];
  const server = new OnePortServer({ ...options, onNetworkError: (error) => reported.push(error) }, handler);
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  return { port: portOf(server), reported };
}

/** Unlike `once`, also resolves after an error. */
function closed(object: EventEmitter): Promise<void> {
  return new Promise((resolve) => object.once("close", resolve));
}

/** A handler that throws in the way given by the path. */
const faulty: http.RequestListener = (request, response) => {
  if (request.url === "/at-once") throwBug();
  if (request.url === "/request") request.on("data", throwBug);
  else if (request.url === "/response") response.on("close", throwBug).end("fine");
  else if (request.url === "/end") request.on("end", throwBug).resume();
  else response.end("fine");
};

test.each([
  ["/at-once", "response"],
  ["/request", "request"],
  ["/end", "request"],
  ["/response", "response"],
])("an exception over HTTP/1.1 in %s ends that connection alone", async (path, on) => {
  const { port, reported } = await open(faulty);
  const request = http.request({ port, host: "127.0.0.1", method: "POST", path, agent: false });
  request.on("response", (response) => response.resume()).on("error", () => {}); // 'close' follows.
  request.end("body");
  await closed(request);
  expect(reported).toContainEqual({ on, kind: "exception", error: bug });
  expect(await text((await fetch(`http://127.0.0.1:${port}/`)).body!)).toBe("fine");
});

test.each([
  ["/at-once", "response"],
  ["/request", "request"],
  ["/end", "request"],
  ["/response", "response"],
])("an exception over HTTP/2 in %s ends that stream alone", async (path, on) => {
  const { port, reported } = await open(faulty);
  const session = http2.connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  const stream = session.request({ ":method": "POST", ":path": path });
  stream.on("error", () => {}); // 'close' follows.
  stream.resume().end("body");
  await closed(stream);
  if (path !== "/response") expect(stream.rstCode).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
  expect(await text(session.request({ ":path": "/" }))).toBe("fine");
  expect(reported).toContainEqual({ on, kind: "exception", error: bug });
});

test("an exception before a stream has a request ends that stream alone", async () => {
  const { port, reported } = await open(faulty, {
    answersStream: (_, { ":path": path }) => path === "/bug" && throwBug(),
  });
  const session = http2.connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  const stream = session.request({ ":path": "/bug" });
  stream.on("error", () => {}); // 'close' follows.
  await closed(stream.resume());
  expect(stream.rstCode).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
  expect(await text(session.request({ ":path": "/" }))).toBe("fine");
  expect(reported).toContainEqual({ on: "stream", kind: "exception", error: bug });
});

test("an exception while admitting a connection ends it alone", async () => {
  let first = true;
  const admits = () => {
    if (!first) return true;
    first = false;
    return throwBug();
  };
  const { port, reported } = await open(faulty, { admits });
  const socket = connect(port, "127.0.0.1");
  await closed(socket.resume());
  expect(reported).toEqual([{ on: "connection", kind: "exception", error: bug }]);
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
});

test("errors of peers are reported by the object that failed", async () => {
  const { port, reported } = await open(faulty);
  for (const [bytes, on] of [
    [Buffer.from("this is not HTTP\r\n\r\n"), "connection"],
    [opening(Buffer.from("this is no frame, but long enough for one")), "session"],
  ] as const) {
    const socket = connect(port, "127.0.0.1");
    socket.write(bytes);
    await closed(socket.resume());
    expect(reported.splice(0)).toContainEqual(expect.objectContaining({ on, kind: "error" }));
  }
});
