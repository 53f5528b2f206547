import { Worker } from "node:worker_threads";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createPasswords } from "./passwords.ts";

const owasp = { memoryKib: 19_456, passes: 2, lanes: 1 };
async function open(limits = {}) {
  const passwords = await createPasswords({ cost: owasp, atOnce: 1, waiting: 9, ...limits });
  onTestFinished(() => passwords.close());
  return passwords;
}

test("passwords are hashed with Argon2id at the given cost", async () => {
  expect(await (await open()).hash("correct horse")).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  const dear = await open({ cost: { memoryKib: 4_096, passes: 3, lanes: 2 } });
  expect(await dear.hash("correct horse")).toMatch(/^\$argon2id\$v=19\$m=4096,t=3,p=2\$/);
});

test("only the right password of a known account matches", async () => {
  const passwords = await open();
  const hash = await passwords.hash("correct horse");
  expect(await passwords.verify(hash, "correct horse")).toBe(true);
  expect(await passwords.verify(hash, "wrong horse")).toBe(false);
  expect(await passwords.verify(undefined, "correct horse")).toBe(false);
});

test("what exceeds the queue is refused at once, and the queue goes on", async () => {
  const passwords = await open({ waiting: 2 });
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => passwords.hash("correct horse")));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected", "rejected"]);
  expect(results[3]).toMatchObject({ reason: { kind: "resource_exhausted", reason: "SIGN_IN_BUSY" } });
  await expect(passwords.hash("correct horse")).resolves.toBeTypeOf("string");
});

describe("when one address, or many, have all the hashes computed they can,", () => {
  const flood = async (addresses: number, limits: { waiting: number; perNetwork: number }) => {
    const passwords = await open({ cost: { memoryKib: 8_192, passes: 1, lanes: 1 }, ...limits });
    const refused: number[] = [];
    const abuse = Array.from({ length: addresses * 50 }, (_, n) => {
      const caller = { address: `10.0.${n % addresses}.1`, isKnown: false };
      return passwords.hash("guess", undefined, caller).catch(() => refused.push(n));
    });
    const hashAs = (address: string, isKnown: boolean) =>
      passwords.hash("correct horse", undefined, { address, isKnown }).then(
        () => "hashed",
        ({ reason }) => reason,
      );
    return { refused, abuse, hashAs };
  };

  test("one gets its share, the rest is refused, and a newcomer elsewhere gets in", async () => {
    const { refused, abuse, hashAs } = await flood(1, { waiting: 39, perNetwork: 10 });
    const newcomer = hashAs("192.0.2.1", false);
    await Promise.all(abuse);
    expect(refused).toHaveLength(40);
    expect(await newcomer).toBe("hashed");
  });

  test("fifteen leave the reserve to those who have signed in before", async () => {
    const { refused, abuse, hashAs } = await flood(15, { waiting: 49, perNetwork: 10 });
    const [known, newcomer] = [hashAs("192.0.2.1", true), hashAs("192.0.2.2", false)];
    await Promise.all(abuse);
    expect(15 * 50 - refused.length).toBe(35);
    expect(await known).toBe("hashed");
    expect(await newcomer).toBe("SIGN_IN_BUSY");
  });
});

test("known callers go ahead of the others that wait, but for one hash in four", async () => {
  const dear = await (await open({ cost: { ...owasp, passes: 20 } })).hash("correct horse");
  const passwords = await open({ cost: { memoryKib: 64, passes: 1, lanes: 1 }, waiting: 29 });
  const ended: string[] = [];
  const hash = (name: string) =>
    passwords
      .hash("correct horse", undefined, { address: "192.0.2.1", isKnown: name === "known" })
      .then(() => ended.push(name));
  // The first keeps the thread busy until all have come.
  const waiting = [passwords.verify(dear, "wrong horse"), ...Array.from({ length: 12 }, () => hash("other"))];
  await Promise.all([...waiting, ...Array.from({ length: 6 }, () => hash("known"))]);
  expect(ended.slice(0, 8).toSorted()).toEqual([...Array(6).fill("known"), "other", "other"]);
  expect(ended.lastIndexOf("known")).toBeGreaterThan(5);
});

test("whoever gives up leaves the queue, and the next in it comes sooner", async () => {
  const passwords = await open({ waiting: 2 });
  const impatient = new AbortController();
  const ended: string[] = [];
  const hash = (name: string, signal?: AbortSignal) =>
    passwords.hash("correct horse", signal).then(
      () => ended.push(name),
      (reason) => ended.push(`${name}: ${reason}`),
    );
  const waiting = [hash("first"), hash("impatient", impatient.signal), hash("patient")];
  impatient.abort("gone");
  waiting.push(hash("late"));
  await Promise.all(waiting);
  expect(ended).toEqual(["impatient: gone", "first", "patient", "late"]);
  await expect(passwords.hash("correct horse", impatient.signal)).rejects.toBe("gone");
});

test.each([
  ["more memory", { memoryKib: 19_457 }, true],
  ["more passes", { passes: 3 }, true],
  ["more lanes", { lanes: 2 }, true],
  ["the same", {}, false],
  ["less", { memoryKib: 8_192, passes: 1 }, false],
])("a hash made at OWASP's cost is outdated or not once %s is asked for", async (_what, cost, expected) => {
  const hash = await (await open()).hash("correct horse");
  expect((await open({ cost: { ...owasp, ...cost } })).isOutdated(hash)).toBe(expected);
});

test("in a crowd answers come together, and when it is over each comes at once", async () => {
  const dear = await (await open({ cost: { ...owasp, passes: 20 } })).hash("correct horse");
  const passwords = await open({ cost: { memoryKib: 64, passes: 1, lanes: 1 }, waiting: 99 });
  const cheap = await passwords.hash("correct horse");
  const told = vi.spyOn(Worker.prototype, "emit");
  // The first keeps the thread busy until all have come.
  const hashes = [dear, ...Array<string>(99).fill(cheap)];
  await Promise.all(hashes.map((hash) => passwords.verify(hash, "correct horse")));
  const together = told.mock.calls.filter(([event]) => event === "message").map(([, answers]) => answers.length);
  told.mockRestore();
  expect(together.slice(-19)).toEqual(Array(19).fill(1));
  expect(together.slice(0, -19).length).toBeLessThan(5);
});

test("hashes are computed, one after the other, while the event loop is busy", async () => {
  const passwords = await open({ waiting: 39 });
  const hash = await passwords.hash("correct horse");
  const before = otherThreadsMs();
  await passwords.verify(hash, "correct horse");
  const enough = otherThreadsMs() + 5 * (otherThreadsMs() - before);
  const compared = Array.from({ length: 40 }, () => passwords.verify(hash, "correct horse"));
  const deadline = performance.now() + 20_000;
  while (otherThreadsMs() < enough && performance.now() < deadline);
  expect(performance.now()).toBeLessThan(deadline);
  expect(await Promise.all(compared)).toEqual(Array(40).fill(true));
});

/** Processor time of this process without that of this thread. */
function otherThreadsMs(): number {
  const [all, own] = [process.cpuUsage(), process.threadCpuUsage()];
  return (all.user + all.system - own.user - own.system) / 1000;
}
