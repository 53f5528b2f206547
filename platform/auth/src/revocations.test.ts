import { expect, test } from "vitest";
import { createRevocations } from "./revocations.ts";

const caller = (userId: string, sessionId: string, version = 1, issueTime = new Date()) =>
  ({ kind: "user", userId, roles: [], token: { sessionId, version, issueTime, expireTime: issueTime } }) as const;
const ended = (sessionId: string, time = new Date()) => ({ userId: "user_1", sessionId, version: 0, time });
const changed = (version: number, time = new Date()) => ({ userId: "user_1", sessionId: "", version, time });

test("an older revocation that arrives late does not replace a newer one", () => {
  const revocations = createRevocations({ retentionMs: 1_000 });
  revocations.add(changed(5));
  revocations.add(changed(3));
  expect(revocations.isRevoked(caller("user_1", "session_1", 4))).toBe(true);
  expect(revocations.isRevoked(caller("user_1", "session_1", 5))).toBe(false);
});

test("a revocation is forgotten once its tokens have expired", async () => {
  const revocations = createRevocations({ retentionMs: 1_000 });
  revocations.add(ended("session_1", new Date(Date.now() - 800)));
  revocations.add(ended("session_2", new Date(Date.now() - 1_000)));
  expect(revocations.isRevoked(caller("user_1", "session_1"))).toBe(true);
  expect(revocations.isRevoked(caller("user_1", "session_2"))).toBe(false);
  await expect.poll(() => revocations.isRevoked(caller("user_1", "session_1"))).toBe(false);
});

test("a full list refuses tokens as old as evicted revocations, and accepts new ones", () => {
  const revocations = createRevocations({ retentionMs: 60_000, max: 2 });
  const times = [1, 2, 3].map((second) => new Date(Date.now() - 10_000 + second * 1_000));
  for (const [index, time] of times.entries()) revocations.add(ended(`session_${index}`, time));
  for (const index of [0, 1, 2])
    expect(revocations.isRevoked(caller("user_1", `session_${index}`, 1, times[0]))).toBe(true);
  expect(revocations.isRevoked(caller("user_2", "session_9", 1, times[0]))).toBe(true);
  expect(revocations.isRevoked(caller("user_2", "session_9"))).toBe(false);
});

test("a subscriber is called for revocations of its own token, until it unsubscribes", () => {
  const revocations = createRevocations({ retentionMs: 60_000 });
  const called: string[] = [];
  revocations.whenRevoked(caller("user_1", "session_1"), () => called.push("stays"));
  const leave = revocations.whenRevoked(caller("user_1", "session_1"), () => called.push("left"));
  leave();
  revocations.add(ended("session_2"));
  expect(called).toEqual([]);
  revocations.add(ended("session_1"));
  expect(called).toEqual(["stays"]);
});
