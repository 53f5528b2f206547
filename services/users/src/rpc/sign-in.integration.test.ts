import { Worker } from "node:worker_threads";
import { create } from "@bufbuild/protobuf";
import { hashSync } from "@node-rs/argon2";
import { AuthenticateRequestSchema, RegisterRequestSchema } from "@shop/gen/shop/users/v1/user_service_pb";
import { contextOf } from "@shop/runtime/testing";
import { expect, onTestFinished, test, vi } from "vitest";
import { createPasswords } from "../adapters/crypto/passwords.ts";
import { openTestUsers } from "../testing/open-test-users.ts";
import { authenticate } from "./authenticate.ts";
import { register } from "./register.ts";

/** Counts the hashes that are requested from worker threads. */
const asked = vi.spyOn(Worker.prototype, "postMessage");
const hashCount = () => asked.mock.calls.filter(([request]) => "password" in request).length;

const anonymous = contextOf({ kind: "anonymous" });

test("one of 50 concurrent registrations of a name, in any case, succeeds", async () => {
  const on = await openTestUsers();
  const spell = (index: number) =>
    [..."somename"].map((letter, at) => (index & (1 << at) ? letter.toUpperCase() : letter)).join("");
  const results = await Promise.allSettled(
    Array.from({ length: 50 }, (_, index) =>
      register(on)(create(RegisterRequestSchema, { username: spell(index), password: "correct horse" }), anonymous),
    ),
  );
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const result of results) {
    if (result.status === "rejected") expect(result.reason).toMatchObject({ reason: "USERNAME_TAKEN" });
  }
  expect(await on.userDocuments.countDocuments()).toBe(1);
});

test("requests with one idempotency key register one account, also concurrently, and other content under that key is refused", async () => {
  const on = await openTestUsers();
  const registering = register(on);
  const named = async (requestId: string, username = "some.name", password = "correct horse") =>
    (await registering(create(RegisterRequestSchema, { username, password, requestId }), anonymous)).userId;
  const ids = await Promise.all(Array.from({ length: 8 }, () => named("one")));
  expect(new Set(ids).size).toBe(1);
  expect(await named("one", "SOME.name")).toBe(ids[0]);

  const reused = { reason: "REQUEST_ID_REUSED" };
  await expect(named("one", "other.name")).rejects.toMatchObject(reused);
  await expect(named("one", "some.name", "wrong horse")).rejects.toMatchObject(reused);
  await expect(named("two")).rejects.toMatchObject({ reason: "USERNAME_TAKEN" });
  await named("two", "other.name");
  expect(await on.userDocuments.countDocuments()).toBe(2);
  expect(JSON.stringify(await on.userDocuments.findOne({ request_id: "one" }))).not.toContain("correct horse");
});

test("guessing passwords through an idempotency key is slowed down like signing in", async () => {
  const on = await openTestUsers();
  const named = async (password: string) =>
    (
      await register(on)(
        create(RegisterRequestSchema, { username: "some.name", password, requestId: "one" }),
        anonymous,
      )
    ).userId;
  await named("correct horse");
  const reasons: string[] = [];
  for (let attempt = 0; attempt < 7; attempt++)
    reasons.push(await named(`wrong horse ${attempt}`).then(String, (error) => error.reason));
  expect(reasons).toContain("SIGN_IN_SLOWED_DOWN");
  expect(new Set(reasons)).toEqual(new Set(["REQUEST_ID_REUSED", "SIGN_IN_SLOWED_DOWN"]));
});

test.each([
  ["in another case", "KELVIN.mass"],
  ["in full width", "ｋｅｌｖｉｎ.ｍａｓｓ"],
  ["with a look-alike of case", "\u212Aelvin.ma\u017F\u017F"],
  ["with a letter that folds to two", "kelvin.ma\u00DF"],
])("a name is found %s", async (_how, spelled) => {
  const { signUp, signIn } = await openTestUsers();
  const { userId } = await signUp("Kelvin.Mass");
  expect((await signIn(spelled)).userId).toBe(userId);
});

test("a sign-in computes one hash for the right password, a wrong one and an unknown name", async () => {
  const { signUp, signIn } = await openTestUsers();
  const { username } = await signUp();
  const countOf = async (call: () => Promise<unknown>) => {
    const before = hashCount();
    await call().catch(() => {});
    return hashCount() - before;
  };
  expect(await countOf(() => signIn(username))).toBe(1);
  expect(await countOf(() => signIn(username, "wrong horse"))).toBe(1);
  expect(await countOf(() => signIn("nobody.at.all"))).toBe(1);
});

test("a caller that is gone costs no hash", async () => {
  const { signUp, ...on } = await openTestUsers();
  const { username } = await signUp();
  const gone = contextOf({ kind: "anonymous" }, {}, AbortSignal.abort("gone"));
  const before = hashCount();
  const password = "correct horse";
  const calls = await Promise.allSettled([
    authenticate(on)(create(AuthenticateRequestSchema, { username, password }), gone),
    register(on)(create(RegisterRequestSchema, { username: "newcomer", password }), gone),
  ]);
  for (const call of calls) expect(call).toEqual({ status: "rejected", reason: "gone" });
  expect(hashCount()).toBe(before);
});

test("a hash of a password as typed is accepted once and replaced by one of the normalized form, which any keyboard's input matches", async () => {
  const { signUp, signIn, ...on } = await openTestUsers();
  const { username } = await signUp();
  const typed = "ka\u0308nnchen\u00a0caf\u00e9";
  const before = (await on.users.findByUsername(username))!;
  await on.users.replaceHash(before, hashSync(typed, { algorithm: 2, memoryCost: 8_192, timeCost: 1, parallelism: 1 }));
  const hash = async () => (await on.users.findByUsername(username))!.passwordHash;
  const earlier = await hash();
  await expect(signIn(username, `${typed}!`)).rejects.toThrow();
  expect(await hash()).toBe(earlier);
  expect(await signIn(username, typed)).toMatchObject({ userId: before.userId });
  const current = await hash();
  expect(current).not.toBe(earlier);
  for (const form of [typed, "k\u00e4nnchen cafe\u0301", typed.normalize("NFC")])
    expect(await signIn(username, form)).toMatchObject({ userId: before.userId });
  expect(await hash()).toBe(current);
});

test("a stored password with control characters still signs in, but no new one is accepted", async () => {
  const { signUp, signIn, ...on } = await openTestUsers();
  const { username } = await signUp();
  const typed = "correct\thorse\u0000\u0085";
  const account = (await on.users.findByUsername(username))!;
  await on.users.replaceHash(account, await on.passwords.hash(typed));
  expect(await signIn(username, typed)).toMatchObject({ userId: account.userId });
  const request = create(RegisterRequestSchema, { username: `${username}x`, password: typed });
  await expect(register(on)(request, contextOf({ kind: "anonymous" }))).rejects.toThrow(
    expect.objectContaining({
      reason: "INVALID_FIELDS",
      facts: { violations: [{ field: "password", description: "must not contain control characters" }] },
    }),
  );
});

test("a hash is replaced once, at the next sign-in, after the cost was raised", async () => {
  const { signUp, ...on } = await openTestUsers();
  const { username } = await signUp();
  const passwords = await createPasswords({ cost: { memoryKib: 9_000, passes: 2, lanes: 1 }, atOnce: 1, waiting: 9 });
  onTestFinished(() => passwords.close());
  const signIn = async (password: string) =>
    await authenticate({ ...on, passwords })(
      create(AuthenticateRequestSchema, { username, password }),
      contextOf({ kind: "anonymous" }),
    );
  const hash = async () => (await on.users.findByUsername(username))!.passwordHash;
  const old = await hash();
  await expect(signIn("wrong horse")).rejects.toThrow();
  expect(await hash()).toBe(old);
  await signIn("correct horse");
  const rehashed = await hash();
  expect(rehashed).toContain("m=9000,t=2,p=1");
  await signIn("correct horse");
  expect(await hash()).toBe(rehashed);
});
