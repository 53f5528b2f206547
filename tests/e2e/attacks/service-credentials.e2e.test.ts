import { createPrivateKey, sign } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { CredentialPurpose } from "@shop/auth";
import type { PrivateServiceJwk } from "@shop/auth/service-jwk";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { internalCredentialHeader } from "@shop/http-port";
import { type KeyOwner, keyOwners, rotateServiceKeys, serviceKeyFiles } from "@shop/tools/service-keys";
import { processNames, serviceNames } from "@shop/topology";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { credentialsOf, privateKeysIn, serviceHeaders } from "../../setup/service-credentials.ts";
import { runningProcesses } from "../../setup/shop.ts";
import { type AnyMethod, nameOf, type Outcome, type ProtocolClient, protocols } from "../clients.ts";
import { eventually } from "../eventually.ts";
import { accessRules, authorizationErrors, invalidRequests } from "../method-table.ts";
import { methods, ownUrls } from "../schema.ts";
import { password, shop, signInAdmin, unique } from "../shopping.ts";

const moduleAt: Readonly<Record<string, string>> = Object.fromEntries(
  serviceNames.map((name) => [shop[`${name}Url`], name]),
);
const { decideOrders } = InventoryService.method;

let clients: Map<string, ProtocolClient>;
beforeAll(() => {
  clients = new Map(Object.keys(moduleAt).map((url) => [url, protocols["Connect-Web in JSON"]!(url)]));
});
afterAll(() => {
  for (const client of clients.values()) client.close();
});

async function call(method: AnyMethod, headers: Readonly<Record<string, string>>): Promise<Outcome> {
  const url = ownUrls[method.parent.typeName]!;
  return await clients.get(url)!.call({ method, request: invalidRequests[nameOf(method)]!, headers });
}

const refusalOf = (outcome: Outcome) => ("error" in outcome ? [outcome.error.code, outcome.error.reason] : "answered");
const refusedByAuthorization = ["PermissionDenied", "INTERNAL_ONLY"];

/** A JSON Web Token of these parts, signed with the key. */
function signedBy({ d, x, kid }: PrivateServiceJwk, header: object, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const head = part({ alg: "EdDSA", typ: "service-call+jwt", kid, ...header });
  const data = `${head}.${part({ iat: now, exp: now + 60, ...claims })}`;
  const key = createPrivateKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", d, x } });
  return `${data}.${sign(null, Buffer.from(data), key).toString("base64url")}`;
}

/** An address of documentation (RFC 3849) that no other test has. */
function newAddress(): string {
  const group = () => Math.floor(Math.random() * 0x10000).toString(16);
  return `2001:db8:${group()}:${group()}::1`;
}

const keyOf = (owner: KeyOwner) => privateKeysIn(shop.dataDir)[owner]!;

/** The services that may call restricted methods: written by hand, so that the schema is checked against it. */
const servicesThatMayCall: Readonly<Record<string, readonly KeyOwner[]>> = {
  "shop.users.v1.UserService/ResetPassword": ["starter"],
  "shop.inventory.v1.InventoryService/CreateProduct": ["starter"],
  "shop.inventory.v1.InventoryService/BatchGetReservations": ["orders"],
  "shop.inventory.v1.InventoryService/DecideOrders": ["orders"],
  "shop.inventory.v1.InventoryService/ListReservations": ["orders"],
};

test.for(keyOwners)("%s calls the methods that name it, and no other restricted method", async (owner) => {
  for (const method of methods) {
    const name = nameOf(method);
    const refusal = authorizationErrors[accessRules[name]!]!.anonymous;
    if (refusal === undefined) continue;
    const audience = moduleAt[ownUrls[method.parent.typeName]!]!;
    const refused = refusalOf(await call(method, serviceHeaders(shop.dataDir, owner, audience)));
    if (servicesThatMayCall[name]?.includes(owner))
      expect(refused, name).toEqual(["InvalidArgument", "INVALID_FIELDS"]);
    else expect(refused, name).toEqual([refusal.code, refusal.reason]);
  }
});

describe("a call of inventory that only orders may make is refused", () => {
  const forgeries: Readonly<Record<string, () => string>> = {
    ...Object.fromEntries(
      ["users", "orders", "gateway", "starter", "shop.inventory.v1.InventoryService"].map((audience) => [
        `with orders' credential for ${audience}`,
        () => credentialsOf(shop.dataDir, "orders").issue("orders", audience, "call"),
      ]),
    ),
    ...Object.fromEntries(
      keyOwners
        .filter((owner) => owner !== "orders")
        .flatMap((owner) => [
          [
            `with a credential that ${owner} signs in the name of orders`,
            () => signedBy(keyOf(owner), {}, { iss: "orders", aud: "inventory" }),
          ],
          [
            `with a credential that ${owner} signs under the id of orders' key`,
            () => signedBy(keyOf(owner), { kid: keyOf("orders").kid }, { iss: "orders", aud: "inventory" }),
          ],
        ]),
    ),
    "with a credential that orders signs in the name of the gateway": () =>
      signedBy(keyOf("orders"), {}, { iss: "gateway", aud: "inventory" }),
    "with a forwarding credential of orders": () =>
      credentialsOf(shop.dataDir, "orders").issue("orders", "inventory", "forward"),
    "with a credential that has expired": () =>
      signedBy(
        keyOf("orders"),
        {},
        { iss: "orders", aud: "inventory", iat: Date.now() / 1000 - 90, exp: Date.now() / 1000 - 30 },
      ),
    "with a credential that lives for an hour": () =>
      signedBy(keyOf("orders"), {}, { iss: "orders", aud: "inventory", exp: Math.floor(Date.now() / 1000) + 3_600 }),
  };

  test.for(Object.entries(forgeries))("%s", async ([, forge]) => {
    expect(refusalOf(await call(decideOrders, { [internalCredentialHeader]: forge() }))).toEqual(
      refusedByAuthorization,
    );
  });

  test("but not with a valid credential", async () => {
    const credential = signedBy(keyOf("orders"), {}, { iss: "orders", aud: "inventory" });
    expect(refusalOf(await call(decideOrders, { [internalCredentialHeader]: credential }))).toEqual([
      "InvalidArgument",
      "INVALID_FIELDS",
    ]);
  });
});

describe("the client address that users accepts on its own port", () => {
  const perMinute = 1_000_000;
  /** Whether a sign-in counts as the first one of the address in its headers. */
  async function isBelieved(headers: Readonly<Record<string, string>>): Promise<boolean> {
    const response = await fetch(`${shop.usersUrl}/authenticate`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-client-address": newAddress(), ...headers },
      body: JSON.stringify({ username: unique("nobody"), password }),
    });
    await response.arrayBuffer();
    const [, left] = /r=(\d+)/.exec(response.headers.get("ratelimit") ?? "") ?? [];
    return Number(left) === perMinute - 1;
  }

  const issued = (service: KeyOwner, audience: string, purpose: CredentialPurpose) => ({
    "x-forwarding-credential": credentialsOf(shop.dataDir, service).issue(service, audience, purpose),
  });

  // Other tests sign in from this address, too: the checked sign-in must not be its first one of a minute.
  beforeAll(async () => {
    await isBelieved({});
  });

  test("is the one that the gateway states", async () => {
    expect(await isBelieved(issued("gateway", "users", "forward"))).toBe(true);
  });

  test.for<readonly [string, () => Record<string, string>]>([
    ["sends without a credential", () => ({})],
    ["sends as a service that does not forward", () => issued("orders", "users", "forward")],
    ["sends with the gateway's credential for another service", () => issued("gateway", "inventory", "forward")],
    ["sends with the gateway's credential for calls", () => issued("gateway", "users", "call")],
    [
      "sends under the gateway's name",
      () => ({
        "x-forwarding-credential": signedBy(
          keyOf("orders"),
          { typ: "service-forward+jwt" },
          { iss: "gateway", aud: "users" },
        ),
      }),
    ],
    [
      "sends as the gateway, and is not an address",
      () => ({ ...issued("gateway", "users", "forward"), "x-client-address": "somewhere" }),
    ],
  ])("is not the one that a caller %s", async ([, headers]) => {
    expect(await isBelieved(headers())).toBe(false);
  });
});

// Only Linux shows the environment of a process.
if (shop.topology === "split" && process.platform === "linux") {
  test.for(processNames)("%s gets its own private key alone, and no shared secret", (service) => {
    const { pid } = runningProcesses(shop.dataDir).find(({ name }) => name === service)!;
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    expect(environment).toContain(`SERVICE_KEY_FILES=${serviceKeyFiles(shop.dataDir).privateFile(service)}`);
    expect(environment.filter((variable) => variable.startsWith("INTERNAL_SECRET="))).toEqual([]);
    for (const [owner, { d }] of Object.entries(privateKeysIn(shop.dataDir))) {
      expect(
        environment.some((variable) => variable.includes(d)),
        owner,
      ).toBe(false);
    }
  });
}

test("keys rotate while calls run, and no call is refused", { timeout: 60_000 }, async () => {
  const admin = await signInAdmin();
  const before = keyOf("orders").kid;
  let isOver = false;
  const outcomes = new Map<string, number>();
  const note = (what: string) => outcomes.set(what, (outcomes.get(what) ?? 0) + 1);

  /** Orders calls inventory, and the gateway forwards. */
  async function audit(): Promise<void> {
    while (!isOver) {
      const response = await fetch(`${shop.url}/admin/orders:audit`, { headers: admin.headers });
      const text = await response.text();
      note(response.ok ? "audited" : `audit ${response.status} ${text}`);
    }
  }
  /** The gateway sends the client address to users. */
  async function signIn(): Promise<void> {
    while (!isOver) {
      // A password hash takes most of a core.
      await delay(50);
      const response = await fetch(`${shop.url}/authenticate`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-forwarded-for": newAddress() },
        body: JSON.stringify({ username: unique("nobody"), password }),
      });
      await response.arrayBuffer();
      note(response.headers.get("ratelimit")?.startsWith('"client";r=999999;') ? "counted" : "counted as another");
    }
  }
  /** Calls as a process of orders does, with keys from the same files. */
  async function callInventory(): Promise<void> {
    while (!isOver) {
      const refusal = refusalOf(await call(decideOrders, serviceHeaders(shop.dataDir, "orders", "inventory")));
      note(refusal[0] === "InvalidArgument" ? "called" : `call ${refusal}`);
    }
  }
  function signingKid(): string {
    const credential = serviceHeaders(shop.dataDir, "orders", "inventory")[internalCredentialHeader]!;
    return JSON.parse(Buffer.from(credential.split(".")[0]!, "base64url").toString()).kid;
  }
  const calls = [audit(), signIn(), callInventory()];

  /** Waits until every process has logged that it signs with, or accepts, these keys. */
  async function untilRead(field: "signing" | "known"): Promise<void> {
    const files = serviceKeyFiles(shop.dataDir);
    const keys = JSON.parse(readFileSync(files.publicFile, "utf8")).keys.map(({ kid }: { kid: string }) => kid);
    const names = shop.topology === "split" ? processNames : (["all-in-one"] as const);
    await eventually(
      () => {
        for (const name of names) {
          const [log] = globSync(join(shop.dataDir, "logs", `${name}.log`));
          const lines = readFileSync(log!, "utf8").split("\n");
          const last = lines.findLast((line) => line.includes('"the service keys changed"'));
          const expected =
            field === "known"
              ? keys
              : (name === "all-in-one" ? processNames : [name as KeyOwner]).map((one) => keyOf(one).kid);
          expect(last && JSON.parse(last)[field]).toEqual(expected);
        }
      },
      { timeoutMs: 20_000 },
    );
  }

  await rotateServiceKeys(shop.dataDir, {
    untilRead: () => untilRead("known"),
    async untilUnused() {
      await untilRead("signing");
      // This test signs, too.
      await eventually(() => expect(signingKid()).toBe(keyOf("orders").kid));
      // Earlier calls have been answered once every caller has called again.
      const seen = new Map(outcomes);
      await eventually(() => {
        for (const [what, count] of seen) expect(outcomes.get(what)).toBeGreaterThan(count + 1);
      });
    },
  });
  await untilRead("known");
  isOver = true;
  await Promise.all(calls);

  expect([...outcomes.keys()].sort()).toEqual(["audited", "called", "counted"]);
  expect(keyOf("orders").kid).not.toBe(before);
});
