import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { adminPasswordToShow, internalSecret, tokenKeysSecret } from "./secrets.ts";
import { serviceEnvironment, servicesOf } from "./services.ts";
import { readSettings } from "./settings.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

const infra = { mongodbUri: "mongodb://m", redisUrl: "redis://r", natsUrl: "nats://n" };
const secrets = { internalSecret: "s", tokenKeysSecret: "t", adminPassword: "p" };

test("one process hosts all four ports by default, and each service has its own when split", () => {
  const one = servicesOf(readSettings([], { USERS_PORT: "6000" }));
  expect(one.map(({ name, ports }) => [name, ports])).toEqual([["all-in-one", [8080, 6000, 5001, 5002]]]);
  const four = servicesOf(readSettings(["--split"], {}));
  expect(four.map(({ name, ports }) => [name, ports])).toEqual([
    ["users", [50053]],
    ["inventory", [5001]],
    ["orders", [5002]],
    ["gateway", [8080]],
  ]);
});

test("split services tell their metrics on one port after the other, and none unless asked", () => {
  const portsOf = (args: string[], env: NodeJS.ProcessEnv) =>
    servicesOf(readSettings(args, env)).map(({ environment }) => environment?.METRICS_PORT);
  expect(portsOf(["--split"], { METRICS_PORT: "9100" })).toEqual(["9100", "9101", "9102", "9103"]);
  expect(portsOf(["--split"], {})).toEqual([undefined, undefined, undefined, undefined]);
  expect(portsOf([], { METRICS_PORT: "9100" })).toEqual([undefined]);
});

test("split services find each other on this machine, unless told where else", () => {
  const env = { ORDERS_URL: "http://a,http://b", USERS_URL: "", LOG_LEVEL: "warn" };
  const settings = readSettings(["--split"], env);
  expect(serviceEnvironment(settings, infra, secrets)).toEqual({
    NODE_COMPILE_CACHE: join(settings.dataDir, "compile-cache"),
    USERS_URL: "http://127.0.0.1:50053",
    INVENTORY_URL: "http://127.0.0.1:5001",
    ORDERS_URL: "http://a,http://b",
    GATEWAY_PORT: "8080",
    USERS_PORT: "50053",
    INVENTORY_PORT: "5001",
    ORDERS_PORT: "5002",
    MONGODB_URI: "mongodb://m",
    REDIS_URL: "redis://r",
    NATS_URL: "nats://n",
    INTERNAL_SECRET: "s",
    TOKEN_KEYS_SECRET: "t",
    ADMIN_USERNAME: "admin",
    ADMIN_PASSWORD: "p",
    LOG_LEVEL: "warn",
  });
  expect(serviceEnvironment(readSettings([], {}), infra, secrets)).not.toHaveProperty("USERS_URL");
});

test.each([
  ["INTERNAL_SECRET", internalSecret],
  ["TOKEN_KEYS_SECRET", tokenKeysSecret],
])("%s is made up once, and only its owner can read it", (variable, secretOf) => {
  const dataDir = temporaryFolder();
  const secret = secretOf(dataDir, {});
  expect(secret).toMatch(/^[\w-]{43}$/);
  expect(secretOf(dataDir, {})).toBe(secret);
  expect(statSync(join(dataDir, "secrets.json")).mode & 0o777).toBe(0o600);
  expect(secretOf(dataDir, { [variable]: "given" })).toBe("given");
});

test("secrets are replaced, not rewritten: a start that is killed leaves them whole", () => {
  const dataDir = temporaryFolder();
  const internal = internalSecret(dataDir, {});
  const before = openSync(join(dataDir, "secrets.json"), "r");
  adminPasswordToShow(dataDir);
  expect(JSON.parse(readFileSync(before, "utf8"))).toEqual({ internalSecret: internal });
  closeSync(before);
});

test("the secrets that are made up are two", () => {
  const dataDir = temporaryFolder();
  expect(internalSecret(dataDir, {})).not.toBe(tokenKeysSecret(dataDir, {}));
});
