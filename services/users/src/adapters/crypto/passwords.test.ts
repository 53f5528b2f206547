import { Worker } from "node:worker_threads";
import { hashSync } from "@node-rs/argon2";
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
  expect(await passwords.verify(hash, "correct horse")).toMatchObject({ matches: true });
  expect(await passwords.verify(hash, "wrong horse")).toMatchObject({ matches: false });
  expect(await passwords.verify(undefined, "correct horse")).toMatchObject({ matches: false });
});

test("hashes beyond the queue's length are refused at once, and the queue continues", async () => {
  const passwords = await open({ waiting: 2 });
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => passwords.hash("correct horse")));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected", "rejected"]);
  expect(results[3]).toMatchObject({ reason: { kind: "resource_exhausted", reason: "SIGN_IN_BUSY" } });
  await expect(passwords.hash("correct horse")).resolves.toBeTypeOf("string");
});

describe("under a flood of hashes", () => {
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

  test("one address gets no more than its share, and a newcomer from another address is served", async () => {
    const { refused, abuse, hashAs } = await flood(1, { waiting: 39, perNetwork: 10 });
    const newcomer = hashAs("192.0.2.1", false);
    await Promise.all(abuse);
    expect(refused).toHaveLength(40);
    expect(await newcomer).toBe("hashed");
  });

  test("fifteen addresses leave the reserve to callers who have signed in before", async () => {
    const { refused, abuse, hashAs } = await flood(15, { waiting: 49, perNetwork: 10 });
    const [known, newcomer] = [hashAs("192.0.2.1", true), hashAs("192.0.2.2", false)];
    await Promise.all(abuse);
    expect(15 * 50 - refused.length).toBe(35);
    expect(await known).toBe("hashed");
    expect(await newcomer).toBe("SIGN_IN_BUSY");
  });
});

test("known callers are served before others that wait, except for one hash in four", async () => {
  const dear = await (await open({ cost: { ...owasp, passes: 20 } })).hash("correct horse");
  const passwords = await open({ cost: { memoryKib: 64, passes: 1, lanes: 1 }, waiting: 29 });
  const ended: string[] = [];
  const hash = (name: string) =>
    passwords
      .hash("correct horse", undefined, { address: "192.0.2.1", isKnown: name === "known" })
      .then(() => ended.push(name));
  // The first hash keeps the thread busy until all are queued.
  const waiting = [passwords.verify(dear, "wrong horse"), ...Array.from({ length: 12 }, () => hash("other"))];
  await Promise.all([...waiting, ...Array.from({ length: 6 }, () => hash("known"))]);
  expect(ended.slice(0, 8).toSorted()).toEqual([...Array(6).fill("known"), "other", "other"]);
  expect(ended.lastIndexOf("known")).toBeGreaterThan(5);
});

test("an aborted call leaves the queue and frees its place", async () => {
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
])("a hash of OWASP's cost is outdated or not when the configured cost is %s", async (_what, cost, expected) => {
  const hash = await (await open()).hash("correct horse");
  const passwords = await open({ cost: { ...owasp, ...cost } });
  expect(await passwords.verify(hash, "correct horse")).toEqual({ matches: true, isOutdated: expected });
});

describe("passwords are compared as OpaqueString (RFC 8265):", () => {
  const forms: readonly (readonly [string, string, string])[] = [
    ["composed and decomposed", "k\u00e4nnchen f\u00fcr 2", "ka\u0308nnchen fu\u0308r 2"],
    ["with blanks of any kind", "correct horse battery", "correct\u00a0horse\u3000battery"],
    ["marks in another order", "a\u0323\u0302bcdefgh", "a\u0302\u0323bcdefgh"],
    [
      "Hangul in syllables and letters",
      "\ud55c\uae00 \ube44\ubc00\ubc88\ud638",
      "\ud55c\uae00 \ube44\ubc00\ubc88\ud638".normalize("NFD"),
    ],
  ];

  test.each(forms)("%s are equal", async (_what, one, other) => {
    const passwords = await open();
    for (const [first, second] of [
      [one, other],
      [other, one],
    ] as const)
      expect(await passwords.verify(await passwords.hash(first), second)).toEqual({ matches: true, isOutdated: false });
  });

  test.each([
    ["case", "Correct Horse", "correct horse"],
    ["full width", "correct horse", "ｃorrect horse"],
    ["blanks at the ends", "correct horse", " correct horse"],
    ["blanks in a row", "correct horse", "correct  horse"],
    ["an accent", "kännchen 42", "kannchen 42"],
  ])("%s makes a difference", async (_what, one, other) => {
    const passwords = await open();
    expect(await passwords.verify(await passwords.hash(one), other)).toMatchObject({ matches: false });
  });

  test.each(forms)("a hash of the password as typed is accepted, and outdated: %s", async (_what, _one, typed) => {
    const passwords = await open();
    const earlier = hashSync(typed, {
      algorithm: 2,
      memoryCost: owasp.memoryKib,
      timeCost: owasp.passes,
      parallelism: 1,
    });
    expect(await passwords.verify(earlier, typed)).toEqual({ matches: true, isOutdated: true });
    expect(await passwords.verify(earlier, `${typed}!`)).toMatchObject({ matches: false });
    expect(await passwords.verify(undefined, typed)).toMatchObject({ matches: false });
  });
});

test("answers are batched while the queue is long, and posted one by one when it is short", async () => {
  const dear = await (await open({ cost: { ...owasp, passes: 20 } })).hash("correct horse");
  const passwords = await open({ cost: { memoryKib: 64, passes: 1, lanes: 1 }, waiting: 99 });
  const cheap = await passwords.hash("correct horse");
  const emit = vi.spyOn(Worker.prototype, "emit");
  // The first hash keeps the thread busy until all are queued.
  const hashes = [dear, ...Array<string>(99).fill(cheap)];
  await Promise.all(hashes.map((hash) => passwords.verify(hash, "correct horse")));
  const batches = emit.mock.calls.filter(([event]) => event === "message").map(([, answers]) => answers.length);
  emit.mockRestore();
  expect(batches.slice(-19)).toEqual(Array(19).fill(1));
  expect(batches.slice(0, -19).length).toBeLessThan(5);
});

test("queued hashes are computed while the event loop is busy", async () => {
  const passwords = await open({ waiting: 39 });
  const hash = await passwords.hash("correct horse");
  const before = otherThreadsMs();
  await passwords.verify(hash, "correct horse");
  const enough = otherThreadsMs() + 5 * (otherThreadsMs() - before);
  const compared = Array.from({ length: 40 }, () => passwords.verify(hash, "correct horse"));
  const deadline = performance.now() + 20_000;
  while (otherThreadsMs() < enough && performance.now() < deadline);
  expect(performance.now()).toBeLessThan(deadline);
  expect((await Promise.all(compared)).map(({ matches }) => matches)).toEqual(Array(40).fill(true));
});

/** CPU time of this process without this thread. */
function otherThreadsMs(): number {
  const [all, own] = [process.cpuUsage(), process.threadCpuUsage()];
  return (all.user + all.system - own.user - own.system) / 1000;
}
