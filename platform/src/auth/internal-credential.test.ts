import { expect, test } from "vitest";
import { createInternalCredentials } from "./internal-credential.ts";

const secret = "a secret that is long enough to be one";

test("whoever shares the secret knows who calls", async () => {
  const credential = await createInternalCredentials("orders", secret).issue();
  expect(await createInternalCredentials("inventory", secret).verify(credential)).toEqual({
    kind: "service",
    name: "orders",
  });
});

test("a credential made with another secret is nobody's", async () => {
  const credential = await createInternalCredentials("orders", "another secret that is long enough").issue();
  expect(await createInternalCredentials("inventory", secret).verify(credential)).toBeUndefined();
  expect(await createInternalCredentials("inventory", secret).verify("nonsense")).toBeUndefined();
});
