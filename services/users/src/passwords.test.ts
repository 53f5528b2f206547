import { expect, test } from "vitest";
import { createPasswords } from "./passwords.ts";

test("passwords are hashed with Argon2id at OWASP's parameters", async () => {
  const passwords = await createPasswords({ atOnce: 1, waiting: 1 });
  expect(await passwords.hash("correct horse")).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
});

test("only the right password of a known account matches", async () => {
  const passwords = await createPasswords({ atOnce: 1, waiting: 9 });
  const hash = await passwords.hash("correct horse");
  expect(await passwords.verify(hash, "correct horse")).toBe(true);
  expect(await passwords.verify(hash, "wrong horse")).toBe(false);
  expect(await passwords.verify(undefined, "correct horse")).toBe(false);
});

test("what exceeds the queue is refused at once, and the queue goes on", async () => {
  const passwords = await createPasswords({ atOnce: 1, waiting: 2 });
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => passwords.hash("correct horse")));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected", "rejected"]);
  expect(results[3]).toMatchObject({ reason: { kind: "resource_exhausted", reason: "SIGN_IN_BUSY" } });
  await expect(passwords.hash("correct horse")).resolves.toBeTypeOf("string");
});
