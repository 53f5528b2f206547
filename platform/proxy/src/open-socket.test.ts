import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { currentTrace, inTraceOf } from "@shop/core";
import { expect, onTestFinished, test } from "vitest";
import { openSocket } from "./open-socket.ts";

test("events of a connection are not in the trace of the call that opened it", async () => {
  const server = createServer((socket) => void socket.end("hello"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const headers = new Headers({ traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00" });
  const traces = await inTraceOf(headers, async () => {
    const socket = await openSocket(origin, { connectTimeoutMs: 1_000, guard: () => {} });
    const seen: unknown[] = [currentTrace()?.id];
    socket.on("data", () => seen.push(currentTrace()));
    socket.on("close", () => seen.push(currentTrace()));
    await once(socket, "close");
    return seen;
  });
  expect(traces).toEqual(["0af7651916cd43dd8448eb211c80319c", undefined, undefined]);
});
