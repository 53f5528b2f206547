import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../eventually.ts";
import { refusalOf } from "../refusal.ts";
import {
  type Account,
  addProduct,
  decided,
  password,
  placeOrder,
  shop,
  signInAdmin,
  signUp,
  unique,
} from "../shopping.ts";

/** The public port trusts one proxy: the client address that it names counts. */
function from(address: string): Record<string, string> {
  return { "x-forwarded-for": address };
}

const abusersAddress = "203.0.113.66";
const customersAddress = "198.51.100.7";
const json = { "content-type": "application/json" };
const reasonOf = (text: string) => /"reason":\s*"([A-Z_]+)"/.exec(text)?.[1];

let admin: Account;
let customer: Account;
const gone = new AbortController();

beforeAll(async () => {
  [admin, customer] = await Promise.all([signInAdmin(), signUp()]);
});
afterAll(() => gone.abort());

/** Watches an order until the test file ends; returns "open" or the error reason. */
async function watch(account: Account, orderId: string, address: string): Promise<string> {
  const headers = { ...account.headers, ...from(address) };
  const response = await fetch(`${shop.url}/orders/${orderId}:watch`, { headers, signal: gone.signal });
  if (!response.ok) return reasonOf(await response.text()) ?? `${response.status}`;
  // An error after the head is a message of the stream.
  const { value } = await response.body!.getReader().read();
  return reasonOf(Buffer.from(value!).toString()) ?? "open";
}

test("accounts of one address get its share of watches, and a customer at another address watches an order", async () => {
  const product = await addProduct(admin, { stock: 100 });
  const abusers = await Promise.all([signUp(), signUp(), signUp()]);
  const outcomes: string[] = [];
  for (const abuser of abusers) {
    const { orderId } = await decided(abuser, await placeOrder(abuser, [product, 1]));
    const watches = Array.from({ length: 101 }, () => watch(abuser, orderId, abusersAddress));
    outcomes.push(...(await Promise.all(watches)));
  }
  // 100 for an account, 250 for an address: the defaults.
  expect(outcomes.filter((outcome) => outcome === "open")).toHaveLength(250);
  expect(new Set(outcomes)).toEqual(new Set(["open", "TOO_MANY_WATCHES"]));
  const { orderId } = await decided(customer, await placeOrder(customer, [product, 1]));
  expect(await watch(customer, orderId, customersAddress)).toBe("open");
});

test("one address has a quarter of the budget for unfinished requests, and a customer at another address is answered meanwhile", async () => {
  const [bodies, bytes] = [90, 60_000];
  // 16 MiB, as tests/setup sets it.
  const mayHold = Math.floor((16 * 1_048_576) / 4 / bytes);
  const refused: (string | undefined)[] = [];
  const requests = Array.from({ length: bodies }, () => {
    const request = httpRequest(`${shop.url}/authenticate`, {
      method: "POST",
      agent: false,
      headers: { ...json, ...from(abusersAddress), "content-length": bytes },
    });
    request.on("error", () => {});
    request.on("response", async (response) => {
      const chunks = await response.toArray().catch(() => []);
      refused.push(reasonOf(Buffer.concat(chunks).toString()));
    });
    request.write(Buffer.alloc(bytes - 1, " "));
    return request;
  });
  await eventually(
    async () => {
      if (refused.length < bodies - mayHold) throw new Error(`${refused.length} were refused`);
    },
    { timeoutMs: 20_000 },
  );
  expect(new Set(refused)).toEqual(new Set(["BUFFERS_FULL"]));
  const body = JSON.stringify({ username: customer.username, password }).padEnd(bytes);
  const answer = await fetch(`${shop.url}/authenticate`, {
    method: "POST",
    headers: { ...json, ...from(customersAddress) },
    body,
  });
  expect(answer.status).toBe(200);
  for (const request of requests) request.destroy();
});

test("concurrent orders of an account can't exceed its limit of open units, and another account orders meanwhile", async () => {
  const abuser = await signUp();
  const products = await Promise.all(Array.from({ length: 4 }, () => addProduct(admin, { stock: 1_000_000 })));
  // 1,500,000, as tests/setup sets it.
  const refusals = await Promise.all(products.map((product) => refusalOf(placeOrder(abuser, [product, 900_000]))));
  const reasons = refusals.map(({ code, reason }) => reason || code).toSorted();
  expect(reasons).toEqual([...Array(3).fill("OPEN_UNITS_EXCEEDED"), "answered"]);
  const order = await decided(customer, await placeOrder(customer, [products[0]!, 1]));
  expect(order.items).toHaveLength(1);
});

test("while fifteen addresses guess passwords as fast as they can, a customer signs in from a known address", async () => {
  const signIn = async (username: string, address: string) => {
    const response = await fetch(`${shop.url}/authenticate`, {
      method: "POST",
      headers: { ...json, ...from(address) },
      body: JSON.stringify({ username, password }),
    });
    const text = await response.text();
    return response.ok ? "in" : (reasonOf(text) ?? text);
  };
  expect(await signIn(customer.username, customersAddress)).toBe("in");
  const guesses = Array.from({ length: 150 }, (_, n) => signIn(unique("nobody"), `192.0.${n % 15}.1`));
  const signIns: string[] = [];
  for (let n = 0; n < 5; n++) signIns.push(await signIn(customer.username, customersAddress));
  const outcomes = await Promise.all(guesses);
  expect(signIns).toEqual(Array(5).fill("in"));
  expect(new Set(outcomes)).toEqual(new Set(["WRONG_CREDENTIALS", "SIGN_IN_BUSY"]));
});
