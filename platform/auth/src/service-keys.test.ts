import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "@shop/core";
import { silentLog } from "@shop/runtime/testing";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createServiceCredentials } from "./service-credentials.ts";
import { generateServiceKey, publicHalf } from "./service-jwk.ts";
import { openServiceKeys, readServiceKeys, type ServiceKeys } from "./service-keys.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "service-keys-"));
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

function write(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const [orders, nextOrders, inventory] = ["orders", "orders", "inventory"].map(generateServiceKey) as [
  ReturnType<typeof generateServiceKey>,
  ReturnType<typeof generateServiceKey>,
  ReturnType<typeof generateServiceKey>,
];
const publish = (...keys: readonly (typeof orders)[]) => write("public.json", { keys: keys.map(publicHalf) });

function read(service: string, privateKeys: readonly unknown[], publicFile: string, log = silentLog): ServiceKeys {
  const privateFiles = [write(`${service}.json`, { keys: privateKeys })];
  const keys = readServiceKeys({ privateFiles, publicFile, services: [service], log });
  onTestFinished(() => keys.close());
  return keys;
}

test("keys can be rotated in steps without a refused call", () => {
  const caller = read("orders", [orders], publish(orders, inventory));
  const called = read("inventory", [inventory], join(folder, "public.json"));
  const [issuer, verifier] = [createServiceCredentials(caller), createServiceCredentials(called)];
  const kids: string[] = [];
  const inFlight: string[] = [];
  const refused: string[] = [];
  const callFor = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 50) {
      vi.advanceTimersByTime(50);
      const credential = issuer.issue("orders", "inventory", "call");
      kids.push(JSON.parse(Buffer.from(credential.split(".")[0]!, "base64url").toString()).kid);
      // A credential that was sent earlier arrives now.
      inFlight.push(credential);
      if (inFlight.length > 20 && verifier.verify(inFlight.shift()!, "inventory", "call") !== "orders") {
        refused.push(credential);
      }
    }
  };

  callFor(3_000);
  publish(orders, nextOrders, inventory);
  callFor(3_000);
  write("orders.json", { keys: [nextOrders, orders] });
  callFor(4_000);
  publish(nextOrders, inventory);
  write("orders.json", { keys: [nextOrders] });
  callFor(4_000);

  expect(refused).toEqual([]);
  expect([...new Set(kids)]).toEqual([orders.kid, nextOrders.kid]);
  expect(called.find(orders.kid)).toBeUndefined();
});

test("credentials of a removed key are refused, also where they were accepted before", () => {
  const called = read("inventory", [inventory], publish(orders, inventory));
  const caller = read("orders", [orders], publish(orders, inventory));
  const verifier = createServiceCredentials(called);
  const credential = createServiceCredentials(caller).issue("orders", "inventory", "call");
  expect(verifier.verify(credential, "inventory", "call")).toBe("orders");
  publish(nextOrders, inventory);
  vi.advanceTimersByTime(2_000);
  expect(verifier.verify(credential, "inventory", "call")).toBeUndefined();
});

test("an unknown key id causes the file to be read at once, at most once a second", () => {
  const called = read("inventory", [inventory], publish(orders, inventory));
  vi.advanceTimersByTime(1_500);
  publish(orders, nextOrders, inventory);
  expect(called.find(nextOrders.kid)?.service).toBe("orders");

  expect(called.find("unknown")).toBeUndefined();
  const third = generateServiceKey("orders");
  publish(orders, nextOrders, third, inventory);
  expect(called.find(third.kid)).toBeUndefined();
  vi.advanceTimersByTime(1_000);
  expect(called.find(third.kid)?.service).toBe("orders");
});

test.for<readonly [string, unknown]>([
  ["is half written", '{"keys":[{"kty":"OKP"'],
  ["is empty", ""],
  ["has no keys", { keys: [] }],
  ["lacks the signing key of this process", { keys: [publicHalf(orders)] }],
])("a file of public keys that %s changes nothing and is reported, until it is valid again", ([, content]) => {
  const errors: unknown[] = [];
  const log = { ...silentLog, error: (fields: unknown) => void errors.push(fields) } as typeof silentLog;
  const called = read("inventory", [inventory], publish(orders, inventory), log);
  write("public.json", content);
  vi.advanceTimersByTime(2_000);
  expect(called.find(orders.kid)?.service).toBe("orders");
  expect(errors).toHaveLength(1);
  publish(nextOrders, inventory);
  vi.advanceTimersByTime(2_000);
  expect(called.find(nextOrders.kid)?.service).toBe("orders");
});

describe("a process does not start", () => {
  const { d: _secret, ...withoutPrivateHalf } = orders;
  test.for<readonly [string, readonly unknown[], () => string, RegExp]>([
    [
      "with another service's private key",
      [inventory, orders],
      () => publish(orders, inventory),
      /does not run in this/,
    ],
    [
      "without a private key of its service",
      [orders],
      () => publish(orders, inventory),
      /does not run in this process/,
    ],
    ["whose key is not published", [inventory], () => publish(orders), /not among the public keys/],
    [
      "whose key is published as another one's",
      [inventory],
      () => write("p.json", { keys: [{ ...publicHalf(inventory), service: "orders" }] }),
      /is not the one of inventory/,
    ],
    [
      "whose key id is another key's",
      [inventory],
      () => write("p.json", { keys: [{ ...publicHalf(orders), kid: inventory.kid, service: "inventory" }] }),
      /is not the one of inventory/,
    ],
    [
      "where a private key is published",
      [inventory],
      () => write("p.json", { keys: [orders, publicHalf(inventory)] }),
      /Unrecognized key: "d"/,
    ],
    ["where two keys have the same id", [inventory], () => publish(inventory, inventory), /two public keys/],
    ["where its private key is a public one", [withoutPrivateHalf], () => publish(inventory), /keys\.0\.d/],
    ["without a file of public keys", [inventory], () => join(folder, "none.json"), /none\.json can't be read: ENOENT/],
  ])("%s", ([, privateKeys, publicFile, why]) => {
    expect(() => read("inventory", privateKeys, publicFile())).toThrow(why);
    expect(() => read("inventory", privateKeys, publicFile())).toThrow(ConfigError);
  });

  test("and the error for an invalid file shows no private key", () => {
    const wrong = { ...inventory, kid: 1 };
    const message = (() => {
      try {
        read("inventory", [wrong], publish(inventory));
      } catch (error) {
        return String(error);
      }
      return "";
    })();
    expect(message).toContain("keys.0.kid");
    expect(message).not.toContain(inventory.d);
  });

  test("with one of the two settings", () => {
    const settings = { SERVICE_KEY_FILES: ["a"], PUBLIC_KEYS_FILE: undefined };
    expect(() => openServiceKeys(["users"], settings, {}, silentLog)).toThrow("set both, or none");
  });

  test("alone with the secret of earlier versions, and the error names the settings", () => {
    const unset = { SERVICE_KEY_FILES: undefined, PUBLIC_KEYS_FILE: undefined };
    const environment = { INTERNAL_SECRET: "s".repeat(32) };
    expect(() => openServiceKeys(["users"], unset, environment, silentLog)).toThrow(
      /SERVICE_KEY_FILES and PUBLIC_KEYS/,
    );
    // A single process for all services calls no other process.
    expect(() => openServiceKeys(["users", "orders"], unset, environment, silentLog)).not.toThrow();
  });
});

test("services in one process need no configured keys to call each other", () => {
  const unset = { SERVICE_KEY_FILES: undefined, PUBLIC_KEYS_FILE: undefined };
  const credentials = createServiceCredentials(openServiceKeys(["orders", "inventory"], unset, {}, silentLog));
  expect(credentials.verify(credentials.issue("orders", "inventory", "call"), "inventory", "call")).toBe("orders");
  const elsewhere = createServiceCredentials(openServiceKeys(["orders", "inventory"], unset, {}, silentLog));
  expect(elsewhere.verify(credentials.issue("orders", "inventory", "call"), "inventory", "call")).toBeUndefined();
});
