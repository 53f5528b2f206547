import { newId } from "@shop/core";
import { clientAddressHeader } from "@shop/http-port";
import { contextOf, openTestLimits } from "@shop/runtime/testing";
import { describe, expect, test, vi } from "vitest";
import { createSignInLimits, type SignInLimits } from "./sign-in-limits.ts";

const home = "203.0.113.9";
const right = "right";
const wrong = "wrong";

async function open({ perMinute = 1_000, freeFailures = 5, limits = openTestLimits(newId("users")) } = {}) {
  return createSignInLimits(await limits, { perMinute, freeFailures });
}

function contextFrom(address: string) {
  return contextOf({ kind: "anonymous" }, { [clientAddressHeader]: address });
}

/** Returns "in", "wrong", or the reason of the refusal. */
async function attempt(limits: SignInLimits, name: string, password: string, address = home): Promise<string> {
  try {
    const check = async () => (password === right ? "in" : undefined);
    return (await limits.attempt(name, contextFrom(address), check)) ?? wrong;
  } catch (error) {
    return (error as { reason: string }).reason;
  }
}

async function fail(limits: SignInLimits, name: string, times: number, address = home): Promise<void> {
  for (let n = 0; n < times; n++) expect(await attempt(limits, name, wrong, address)).toBe(wrong);
}

const slowed = "SIGN_IN_SLOWED_DOWN";
const soon = { timeout: 5_000, interval: 50 };

describe("sign-ins to an account are slowed down", () => {
  test("after five failures, also for the right password, until a second has passed", async () => {
    const limits = await open();
    await fail(limits, "ann", 5);
    expect(await attempt(limits, "ann", right)).toBe(slowed);
    await vi.waitUntil(async () => (await attempt(limits, "ann", right)) === "in", soon);
  });

  test("for longer after each failure, but not by attempts that come too early", async () => {
    const limits = await open();
    await fail(limits, "ann", 5);
    for (let n = 0; n < 50; n++) await attempt(limits, "ann", wrong);
    await vi.waitUntil(async () => (await attempt(limits, "ann", wrong)) === wrong, soon);
    const refusal = await limits
      .attempt("ann", contextFrom(home), async () => undefined)
      .catch((error: { facts: { retryAfterMs: number } }) => error.facts.retryAfterMs);
    expect(refusal).toBeGreaterThan(1_000);
    expect(refusal).toBeLessThanOrEqual(2_000);
  });

  test("without regard to the case of its name, and whether it exists", async () => {
    const limits = await open();
    await fail(limits, "Nobody", 5);
    expect(await attempt(limits, "nOBODY", wrong)).toBe(slowed);
    expect(await attempt(limits, "somebody", wrong)).toBe(wrong);
  });

  test("for all replicas together", async () => {
    const name = newId("users");
    const replicas = await Promise.all([
      open({ limits: openTestLimits(name) }),
      open({ limits: openTestLimits(name) }),
    ]);
    await fail(replicas[0]!, "ann", 3);
    await fail(replicas[1]!, "ann", 2);
    expect(await attempt(replicas[0]!, "ann", right)).toBe(slowed);
  });

  test("so that at most six of fifty concurrent guesses are checked", async () => {
    const limits = await open();
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => attempt(limits, "ann", wrong)));
    expect(outcomes.filter((outcome) => outcome === wrong).length).toBeLessThanOrEqual(6);
  });

  test("but not by sign-ins that succeed or that end in an error", async () => {
    const limits = await open();
    for (let n = 0; n < 10; n++) {
      expect(await attempt(limits, "ann", right)).toBe("in");
      await expect(limits.attempt("ann", contextFrom(home), () => Promise.reject(new Error("busy")))).rejects.toThrow();
    }
    await fail(limits, "ann", 4);
    expect(await attempt(limits, "ann", right)).toBe("in");
    await fail(limits, "ann", 5);
  });
});

describe("an attacker can't lock an account:", () => {
  const attackers = Array.from({ length: 4 }, (_, n) => `198.51.100.${n}`);

  test("its owner signs in without delay from a network where they have signed in before", async () => {
    const limits = await open();
    expect(await attempt(limits, "ann", right)).toBe("in");
    for (const attacker of attackers) await attempt(limits, "ann", wrong, attacker);
    await attempt(limits, "ann", wrong, attackers[0]!);
    expect(await attempt(limits, "ann", wrong, "192.0.2.1")).toBe(slowed);
    expect(await attempt(limits, "ann", right)).toBe("in");
  });

  test("its owner waits once at a new address, however many attempts others make meanwhile", async () => {
    const limits = await open();
    await fail(limits, "ann", 5, attackers[0]!);
    expect(await attempt(limits, "ann", right)).toBe(slowed);
    await vi.waitUntil(async () => {
      await Promise.all(attackers.map((attacker) => attempt(limits, "ann", wrong, attacker)));
      return (await attempt(limits, "ann", right)) === "in";
    }, soon);
  });

  test("but every new address has to wait once before its first attempt", async () => {
    const limits = await open();
    await fail(limits, "ann", 5, attackers[0]!);
    for (let n = 0; n < 20; n++) expect(await attempt(limits, "ann", wrong, `192.0.2.${n}`)).toBe(slowed);
  });
});

describe("the sign-ins and registrations of a client are limited per minute", () => {
  const count = (limits: SignInLimits, address: string) =>
    limits.countClient(contextFrom(address)).then(
      () => "counted",
      (error: { reason: string }) => error.reason,
    );

  test("over all names, and separately for each client", async () => {
    const limits = await open({ perMinute: 3 });
    expect(await attempt(limits, "ann", right)).toBe("in");
    expect(await attempt(limits, "bob", wrong)).toBe(wrong);
    expect(await count(limits, home)).toBe("counted");
    expect(await attempt(limits, "eve", right)).toBe("SIGN_IN_RATE_EXCEEDED");
    expect(await count(limits, home)).toBe("SIGN_IN_RATE_EXCEEDED");
    expect(await count(limits, "203.0.113.10")).toBe("counted");
  });

  test("with one limit for all addresses of a /64 of IPv6", async () => {
    const limits = await open({ perMinute: 2 });
    expect(await count(limits, "2001:db8::1")).toBe("counted");
    expect(await count(limits, "2001:db8::2:3:4")).toBe("counted");
    expect(await count(limits, "2001:db8::5")).toBe("SIGN_IN_RATE_EXCEEDED");
    expect(await count(limits, "2001:db8:0:1::5")).toBe("counted");
  });

  test("with what is left in the RateLimit headers, also of a refusal", async () => {
    const limits = await open({ perMinute: 2 });
    const rateLimit = async () => {
      const context = contextFrom(home);
      await limits.countClient(context).catch(() => {});
      return [context.responseHeader.get("RateLimit-Policy"), context.responseHeader.get("RateLimit")];
    };
    expect(await rateLimit()).toEqual(['"client";q=2;w=60', expect.stringMatching(/^"client";r=1;t=(60|59)$/)]);
    await rateLimit();
    expect(await rateLimit()).toEqual(['"client";q=2;w=60', expect.stringMatching(/^"client";r=0;t=(60|59)$/)]);
  });

  test("with a reserve for accounts that have signed in from the client's address before", async () => {
    const limits = await open({ perMinute: 10 });
    expect(await attempt(limits, "ann", right)).toBe("in");
    for (let n = 0; n < 20; n++) await attempt(limits, `eve_${n}`, wrong);
    expect(await attempt(limits, "bob", right)).toBe("SIGN_IN_RATE_EXCEEDED");
    expect(await attempt(limits, "ann", right)).toBe("in");
    expect(await attempt(limits, "ann", right)).toBe("SIGN_IN_RATE_EXCEEDED");
  });
});
