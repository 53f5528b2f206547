import { expect, test } from "vitest";
import { createSealer } from "./sealing.ts";

const sealer = createSealer("a secret");

test("a secret opens with the same key, and is not readable in the sealed bytes", () => {
  const sealed = sealer.seal("name", "the private half");
  expect(createSealer("a secret").open("name", sealed)).toBe("the private half");
  expect(Buffer.from(sealed).toString("latin1")).not.toContain("private");
});

test("sealing the same secret twice gives different bytes", () => {
  expect(sealer.seal("name", "secret")).not.toEqual(sealer.seal("name", "secret"));
});

test("a secret does not open with another key, under another name, or after it was changed or cut", () => {
  const sealed = sealer.seal("name", "secret");
  expect(createSealer("another secret").open("name", sealed)).toBeUndefined();
  expect(sealer.open("another", sealed)).toBeUndefined();
  for (let at = 0; at < sealed.length; at++) {
    const changed = Uint8Array.from(sealed, (byte, index) => (index === at ? byte ^ 1 : byte));
    expect(sealer.open("name", changed), `byte ${at}`).toBeUndefined();
    expect(sealer.open("name", sealed.subarray(0, at)), `${at} bytes`).toBeUndefined();
  }
});
