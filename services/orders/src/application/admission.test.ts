import { silentLog } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { createAdmission } from "./admission.ts";

/** A shop whose orders are decided when it is told to look, and not before. */
function openAdmission(limits: { linesPerAccount?: number; linesPerNetwork?: number } = {}) {
  const orders = { pendingSince: async () => undefined };
  const admission = createAdmission({ orders, clock: () => new Date(), maxBacklog: 256, log: silentLog, ...limits });
  /** "placed", or the reason why not. */
  const place = async (account: string, lines: number, address = "203.0.113.66") => {
    try {
      return await admission.admit(async () => "placed", { account, address, lines });
    } catch (error) {
      return (error as { reason: string }).reason;
    }
  };
  /** How many lines one gets that orders as much as it can. */
  const fill = async (account: string, lines: number, address?: string) => {
    let placed = 0;
    while (placed < 10_000 && (await place(account, lines, address)) === "placed") placed += lines;
    return placed;
  };
  return { admission, place, fill, decideAll: () => admission.job.run(new AbortController().signal) };
}

const [elsewhere, share] = ["198.51.100.7", "ORDER_SHARE_EXCEEDED"];

test("orders weigh their lines: an account has as many undecided as is its share, and a customer elsewhere orders", async () => {
  const { place, fill, decideAll } = openAdmission({ linesPerAccount: 100, linesPerNetwork: 150 });
  expect(await fill("abuser", 50)).toBe(100);
  expect(await place("abuser", 1)).toBe(share);
  expect(await fill("abuser's other", 10)).toBe(50);
  expect(await place("abuser's third", 1)).toBe(share);
  expect(await place("customer", 100, elsewhere)).toBe("placed");
  await decideAll();
  expect(await fill("abuser", 50)).toBe(100);
});

test("a share is free again when an order is refused for another reason", async () => {
  const { admission, place } = openAdmission({ linesPerAccount: 100 });
  const load = { account: "customer", address: elsewhere, lines: 100 };
  await expect(admission.admit(() => Promise.reject(new Error("no such product")), load)).rejects.toThrow();
  expect(await place("customer", 100, elsewhere)).toBe("placed");
});

test("in a crowd of newcomers there is room for accounts that have ordered before", async () => {
  const { place, decideAll } = openAdmission();
  expect(await place("customer", 1, elsewhere)).toBe("placed");
  await decideAll();
  const crowd = Array.from({ length: 18 }, (_, n) => place(`newcomer ${n}`, 100, `10.${n}.0.1`));
  expect(await place("another newcomer", 1, "192.0.2.1")).toBe("ORDERS_OVERLOADED");
  const customers = place("customer", 1, elsewhere);
  await decideAll();
  expect(await Promise.all([...crowd, customers])).toEqual(Array(19).fill("placed"));
});
