import { silentLog } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { createAdmission } from "./admission.ts";

/** An admission whose orders stay undecided until `decideAll`. */
function openAdmission(limits: { linesPerAccount?: number; linesPerNetwork?: number } = {}) {
  const orders = { pendingSince: async () => undefined };
  const admission = createAdmission({ orders, clock: () => new Date(), maxBacklog: 256, log: silentLog, ...limits });
  /** Returns "placed", or the error's reason. */
  const place = async (account: string, lines: number, address = "203.0.113.66") => {
    try {
      return await admission.admit(async () => "placed", { account, address, lines });
    } catch (error) {
      return (error as { reason: string }).reason;
    }
  };
  /** Places orders until one is refused, and returns the number of lines placed. */
  const fill = async (account: string, lines: number, address?: string) => {
    let placed = 0;
    while (placed < 10_000 && (await place(account, lines, address)) === "placed") placed += lines;
    return placed;
  };
  return { admission, place, fill, decideAll: () => admission.job.run(new AbortController().signal) };
}

const [otherAddress, share] = ["198.51.100.7", "ORDER_SHARE_EXCEEDED"];

test("shares are counted in order lines, for an account and for its network, and leave room for other networks", async () => {
  const { place, fill, decideAll } = openAdmission({ linesPerAccount: 100, linesPerNetwork: 150 });
  expect(await fill("abuser", 50)).toBe(100);
  expect(await place("abuser", 1)).toBe(share);
  expect(await fill("abuser's other", 10)).toBe(50);
  expect(await place("abuser's third", 1)).toBe(share);
  expect(await place("customer", 100, otherAddress)).toBe("placed");
  await decideAll();
  expect(await fill("abuser", 50)).toBe(100);
});

test("an order that fails after admission releases its share", async () => {
  const { admission, place } = openAdmission({ linesPerAccount: 100 });
  const load = { account: "customer", address: otherAddress, lines: 100 };
  await expect(admission.admit(() => Promise.reject(new Error("no such product")), load)).rejects.toThrow();
  expect(await place("customer", 100, otherAddress)).toBe("placed");
});

test("a part of the limit is reserved for accounts that have ordered before", async () => {
  const { place, decideAll } = openAdmission();
  expect(await place("customer", 1, otherAddress)).toBe("placed");
  await decideAll();
  const crowd = Array.from({ length: 18 }, (_, n) => place(`newcomer ${n}`, 100, `10.${n}.0.1`));
  expect(await place("another newcomer", 1, "192.0.2.1")).toBe("ORDERS_OVERLOADED");
  const customers = place("customer", 1, otherAddress);
  await decideAll();
  expect(await Promise.all([...crowd, customers])).toEqual(Array(19).fill("placed"));
});
