import { closeSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { defaultPorts, serviceNames, services, urlVariable } from "@shop/topology";
import { expect, test } from "vitest";
import { repositoryRoot } from "./repository-root.ts";
import { adminPasswordToShow, tokenKeysSecret } from "./secrets.ts";
import { ensureServiceKeys, keyOwners, rotateServiceKeys, serviceKeyFiles } from "./service-keys.ts";
import { serviceEnvironment, servicesOf } from "./services.ts";
import { readSettings } from "./settings.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

const infra = {
  environmentOf: (account: string) => ({
    MONGODB_URI: `mongodb://${account}@m`,
    REDIS_URL: `redis://${account}@r`,
    NATS_URL: `nats://${account}@n`,
  }),
};
const secrets = { TOKEN_KEYS_SECRET: "t", ADMIN_USERNAME: "admin", ADMIN_PASSWORD: "p" };
const split = (env: NodeJS.ProcessEnv) => {
  const settings = readSettings(["--split"], env);
  const environments = servicesOf(settings).map((service) => [
    service.name,
    serviceEnvironment(service, settings, infra, secrets),
  ]);
  return Object.fromEntries(environments) as Record<string, NodeJS.ProcessEnv>;
};

test("one process hosts all ports by default, and each service has its own when split", () => {
  const [one, ...others] = servicesOf(readSettings([], { USERS_PORT: "6000" }));
  expect(others).toEqual([]);
  expect(one).toMatchObject({ name: "all-in-one", ports: expect.arrayContaining([8080, 6000, 5001, 5002]) });
  const many = servicesOf(readSettings(["--split"], {})).map(({ name, ports }) => [name, ports]);
  expect(many).toHaveLength(one!.ports.length);
  expect(many).toEqual(
    expect.arrayContaining([
      ["users", [50053]],
      ["inventory", [5001]],
      ["orders", [5002]],
      ["gateway", [8080]],
    ]),
  );
});

test("split services have metrics ports counted from METRICS_PORT, and none without it", () => {
  const portsOf = (args: string[], env: NodeJS.ProcessEnv) =>
    Object.fromEntries(
      servicesOf(readSettings(args, env)).map(({ name, environment }) => [name, environment?.METRICS_PORT]),
    );
  const ports = portsOf(["--split"], { METRICS_PORT: "9100" });
  expect(ports).toMatchObject({ users: "9100", inventory: "9101", orders: "9102", gateway: "9103" });
  expect(new Set(Object.values(ports)).size).toBe(Object.keys(ports).length);
  expect(new Set(Object.values(portsOf(["--split"], {})))).toEqual(new Set([undefined]));
  expect(portsOf([], { METRICS_PORT: "9100" })).toEqual({ "all-in-one": undefined });
});

test("split services call each other on this machine unless a URL is set", () => {
  const env = { ORDERS_URL: "http://a,http://b", USERS_URL: "", LOG_LEVEL: "warn" };
  const { publicFile, privateFile } = serviceKeyFiles(readSettings([], {}).dataDir);
  const ports = Object.entries(defaultPorts).map(([variable, port]) => [variable, String(port)]);
  const urls = serviceNames.map((name) => [urlVariable(name), `http://127.0.0.1:${services[name].port}`]);
  expect(split(env).orders).toEqual({
    ...Object.fromEntries([...ports, ...urls]),
    SERVICE_KEY_FILES: privateFile("orders"),
    PUBLIC_KEYS_FILE: publicFile,
    MALLOC_ARENA_MAX: "2",
    NODE_COMPILE_CACHE: join(repositoryRoot, "node_modules/.cache/node"),
    USERS_URL: "http://127.0.0.1:50053",
    INVENTORY_URL: "http://127.0.0.1:5001",
    ORDERS_URL: "http://a,http://b",
    GATEWAY_PORT: "8080",
    USERS_PORT: "50053",
    INVENTORY_PORT: "5001",
    ORDERS_PORT: "5002",
    MONGODB_URI: "mongodb://orders@m",
    REDIS_URL: "redis://orders@r",
    NATS_URL: "nats://orders@n",
    LOG_LEVEL: "warn",
  });
  const settings = readSettings([], {});
  expect(serviceEnvironment(servicesOf(settings)[0]!, settings, infra, secrets)).not.toHaveProperty("USERS_URL");
});

test("a process inherits no secret: it gets its own, and only users can sign tokens and create the administrator", () => {
  const inherited = {
    ADMIN_PASSWORD: "of the starter",
    TOKEN_KEYS_SECRET: "of the starter, 32 characters long",
    INTERNAL_SECRET: "of the starter, 32 characters long",
    MONGODB_URI: "mongodb://root:of-the-starter@m",
    NPM_TOKEN: "of the starter",
    AWS_SECRET_ACCESS_KEY: "of the starter",
    DATABASE_URL: "postgres://me:of-the-starter@elsewhere/db",
    TOKEN_KEY_SECONDS: "60",
    PASSWORD_HASH_PASSES: "2",
  };
  const environments = split(inherited);
  for (const environment of Object.values(environments)) {
    expect(JSON.stringify(environment)).not.toContain("of the starter");
    expect(JSON.stringify(environment)).not.toContain("of-the-starter");
    expect(environment).toMatchObject({ TOKEN_KEY_SECONDS: "60", PASSWORD_HASH_PASSES: "2" });
  }
  const having = (variable: string) => Object.keys(environments).filter((name) => variable in environments[name]!);
  expect(having("TOKEN_KEYS_SECRET")).toEqual(["users"]);
  expect(having("ADMIN_PASSWORD")).toEqual(["users"]);
  for (const server of ["MONGODB_URI", "REDIS_URL", "NATS_URL"]) expect(having(server)).toEqual(serviceNames);
});

test("every process gets all settings of OpenTelemetry, also those with credentials for the receiver", () => {
  const given = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "https://shop:password@collector:4318",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Basic%20c2hvcDpwYXNzd29yZA==",
    OTEL_EXPORTER_OTLP_CLIENT_KEY: "/etc/shop/otlp.key",
    OTEL_TRACES_SAMPLER: "parentbased_always_off",
  };
  for (const environment of Object.values(split({ ...given, OTEL_SERVICE_NAME: "" }))) {
    expect(environment).toMatchObject(given);
    expect(environment).not.toHaveProperty("OTEL_SERVICE_NAME");
  }
});

test("TOKEN_KEYS_SECRET is generated once, and only its owner can read it", () => {
  const dataDir = temporaryFolder();
  const secret = tokenKeysSecret(dataDir, {});
  expect(secret).toMatch(/^[\w-]{43}$/);
  expect(tokenKeysSecret(dataDir, {})).toBe(secret);
  expect(statSync(join(dataDir, "secrets.json")).mode & 0o777).toBe(0o600);
  expect(tokenKeysSecret(dataDir, { TOKEN_KEYS_SECRET: "given" })).toBe("given");
});

test("each split process gets its own private key and no other, and no shared secret", () => {
  const settings = readSettings(["--split"], { INTERNAL_SECRET: "s".repeat(32), DATA_DIR: temporaryFolder() });
  const { publicFile, privateFile } = serviceKeyFiles(settings.dataDir);
  for (const { name, environment } of servicesOf(settings)) {
    expect(environment, name).toEqual({
      SERVICE_KEY_FILES: privateFile(name as "users"),
      PUBLIC_KEYS_FILE: publicFile,
    });
  }
  for (const environment of Object.values(split({ INTERNAL_SECRET: "s".repeat(32) })))
    expect(environment).not.toHaveProperty("INTERNAL_SECRET");
});

const keysIn = (file: string) =>
  (JSON.parse(readFileSync(file, "utf8")) as { keys: { kid: string; service: string; d?: string }[] }).keys;

test("keys of services are generated once; private files are accessible to their owner only, public ones contain nothing private", () => {
  const dataDir = temporaryFolder();
  const { publicFile, privateFile } = ensureServiceKeys(dataDir);
  const contents = () => [publicFile, ...keyOwners.map(privateFile)].map((file) => readFileSync(file, "utf8"));
  const before = contents();
  ensureServiceKeys(dataDir);
  expect(contents()).toEqual(before);
  expect(keysIn(publicFile).map(({ service }) => service)).toEqual([...keyOwners]);
  expect(keysIn(publicFile).some((key) => "d" in key)).toBe(false);
  for (const owner of keyOwners) {
    expect(statSync(privateFile(owner)).mode & 0o777).toBe(0o600);
    expect(keysIn(privateFile(owner))).toEqual([expect.objectContaining({ service: owner })]);
  }
});

test("the next start writes the keys that an interrupted one did not", () => {
  const dataDir = temporaryFolder();
  const { publicFile, privateFile } = ensureServiceKeys(dataDir);
  const kid = keysIn(privateFile("orders"))[0]!.kid;
  rmSync(publicFile);
  rmSync(privateFile("users"));
  ensureServiceKeys(dataDir);
  expect(keysIn(publicFile).map((key) => key.kid)).toContain(kid);
  expect(keysIn(publicFile)).toHaveLength(keyOwners.length);
});

test("keys rotate in an order in which every credential can be verified, also after an interrupted rotation", async () => {
  const dataDir = temporaryFolder();
  const { publicFile, privateFile } = ensureServiceKeys(dataDir);
  const signing = () => keysIn(privateFile("orders"))[0]!.kid;
  const known = () => keysIn(publicFile).map(({ kid }) => kid);
  const [first] = [signing()];
  const cutShort = rotateServiceKeys(dataDir, {
    untilRead: async () => {},
    untilUnused: async () => {
      throw new Error("killed");
    },
  });
  await expect(cutShort).rejects.toThrow("killed");
  const second = signing();
  expect(known()).toEqual(expect.arrayContaining([first, second]));

  const steps: string[] = [];
  await rotateServiceKeys(dataDir, {
    async untilRead() {
      steps.push(signing());
      expect(known()).toHaveLength(3 * keyOwners.length);
    },
    async untilUnused() {
      steps.push(signing());
      expect(known()).toEqual(expect.arrayContaining([first, second, signing()]));
    },
  });
  expect(steps[0]).toBe(second);
  expect(steps[1]).toBe(signing());
  expect(known()).toHaveLength(keyOwners.length);
  expect(known()).toContain(signing());
  expect(keysIn(privateFile("orders"))).toHaveLength(1);
});

test("secrets are replaced atomically: a killed start leaves them whole", () => {
  const dataDir = temporaryFolder();
  const secret = tokenKeysSecret(dataDir, {});
  const before = openSync(join(dataDir, "secrets.json"), "r");
  adminPasswordToShow(dataDir);
  expect(JSON.parse(readFileSync(before, "utf8"))).toEqual({ tokenKeysSecret: secret });
  closeSync(before);
});
