import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { UnreadAnswers } from "./slow-peers.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("an answer is not unread just because something was written before every check", () => {
  const answers = new UnreadAnswers();
  const destroy = vi.fn();
  const answer = Object.assign(new EventEmitter(), { writableLength: 0, destroy });
  answers.watch(answer as unknown as Socket);
  for (let look = 0; look < 5; look++) {
    vi.advanceTimersByTime(1_000);
    answer.writableLength = 5;
    answers.cutOff(1_000);
    answer.writableLength = 0;
  }
  vi.advanceTimersByTime(900);
  expect(destroy).not.toHaveBeenCalled();

  answer.writableLength = 5;
  vi.advanceTimersByTime(1_000);
  answers.cutOff(1_000);
  vi.advanceTimersByTime(900);
  expect(destroy).toHaveBeenCalledOnce();
});
