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

test("all that is sent is read, to its end", async () => {
  const { request, over } = start();
  for (let sent = 0; sent < 7; sent++) request.write(Buffer.alloc(1_048_576));
  request.end();
  await over;
  expect(request.readableEnded).toBe(true);
});

test("who sends without end is read for 8 MiB", async () => {
  const { request, over } = start();
  for (let sent = 0; sent < 9; sent++) request.write(Buffer.alloc(1_048_576));
  await over;
  expect(request.isPaused()).toBe(true);
});

test("who sends slowly is read for five seconds", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { isOver } = start();
  await vi.advanceTimersByTimeAsync(4_999);
  expect(isOver()).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(isOver()).toBe(true);
});

test("who goes is not waited for, nor who has gone before", async () => {
  const { request, over } = start();
  request.destroy(new Error("gone"));
  await over;
  await drain(request);
});
