import { PassThrough } from "node:stream";
import { expect, onTestFinished, test, vi } from "vitest";
import { drain } from "./drain.ts";

/** A request that is being drained. */
function start() {
  const request = new PassThrough();
  let isOver = false;
  const over = drain(request).then(() => {
    isOver = true;
  });
  return { request, over, isOver: () => isOver };
}

test("a body is read to its end", async () => {
  const { request, over } = start();
  for (let sent = 0; sent < 7; sent++) request.write(Buffer.alloc(1_048_576));
  request.end();
  await over;
  expect(request.readableEnded).toBe(true);
});

test("an endless body is read for 8 MiB", async () => {
  const { request, over } = start();
  for (let sent = 0; sent < 9; sent++) request.write(Buffer.alloc(1_048_576));
  await over;
  expect(request.isPaused()).toBe(true);
});

test("a slow body is read for five seconds", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { isOver } = start();
  await vi.advanceTimersByTimeAsync(4_999);
  expect(isOver()).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(isOver()).toBe(true);
});

test("drain does not wait for a client that goes away or has already gone", async () => {
  const { request, over } = start();
  request.destroy(new Error("gone"));
  await over;
  await drain(request);
});
