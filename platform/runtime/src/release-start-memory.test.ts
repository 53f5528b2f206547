import { setTimeout as delay } from "node:timers/promises";
import { getHeapSpaceStatistics } from "node:v8";
import { expect, test, vi } from "vitest";
import { releaseStartMemory } from "./release-start-memory.ts";

const everyMs = 50;
const grownBytes = 32 * 1_048_576;
/** V8 itself shrinks the young generation of an idle process 8 seconds after some of its collections. */
const soonMs = 4_000;

const youngGenerationBytes = () =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")!.space_size;

/** Makes objects that survive collections, as a start does. */
function grow(): void {
  for (let attempt = 0; youngGenerationBytes() < grownBytes && attempt < 100; attempt++) {
    const survivors: object[] = [];
    while (survivors.length < 200_000) survivors.push({ number: survivors.length });
  }
  expect(youngGenerationBytes()).toBeGreaterThanOrEqual(grownBytes);
}

async function beBusy(forMs: number): Promise<void> {
  const until = performance.now() + forMs;
  while (performance.now() < until) {
    const busyUntil = performance.now() + everyMs / 5;
    while (performance.now() < busyUntil);
    // Timers run, and the event loop is never idle.
    await new Promise(setImmediate);
  }
}

test("an idle process gives back what its young generation has grown by, once", async () => {
  grow();
  releaseStartMemory(everyMs);
  await beBusy(4 * everyMs);
  expect(youngGenerationBytes()).toBeGreaterThanOrEqual(grownBytes);
  await vi.waitFor(() => expect(youngGenerationBytes()).toBeLessThan(grownBytes / 4), { timeout: soonMs });

  grow();
  await delay(4 * everyMs);
  expect(youngGenerationBytes()).toBeGreaterThanOrEqual(grownBytes);
});

test("a process that is busy at first keeps it", async () => {
  grow();
  releaseStartMemory(everyMs);
  await beBusy(13 * everyMs);
  await delay(4 * everyMs);
  expect(youngGenerationBytes()).toBeGreaterThanOrEqual(grownBytes);
});
