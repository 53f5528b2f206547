import { spawnSync } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { accepts } from "./infra/tcp.ts";
import { processStamp } from "./process-stamp.ts";
import { freeShopPorts, noServers, startFakeShop } from "./testing/fake-shop.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";
import { waitUntil } from "./wait.ts";

// Takes about a minute: most tests start `npm start` itself, with a service that stands for the shop.
vi.setConfig({ testTimeout: 40_000 });

test("one command starts the servers and the services, prints calls to copy, and a Ctrl-C leaves no process", async () => {
  const dataDir = temporaryFolder();
  const shop = await startFakeShop(dataDir);
  await shop.untilPrinted("Ctrl-C stops everything");

  expect(
    shop
      .running()
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(["all-in-one", "mongodb", "nats", "redis", "supervisor"]);
  expect(shop.running()[0]).toMatchObject({ name: "supervisor", pid: shop.pid, ports: [] });
  expect(shop.output()).toContain(`curl 'http://127.0.0.1:${shop.ports.GATEWAY_PORT}/products?page_size=3'`);
  expect(shop.output()).toContain(`export SHOP=http://127.0.0.1:${shop.ports.GATEWAY_PORT}\n`);
  expect(shop.output()).toMatch(/admin \/ \S{16,} {3}\(generated now and shown only once\)/);
  expect(shop.output()).toMatch(/ready in \d+\.\d s/);

  // A process that dies is restarted on its port.
  const [nats, service] = [shop.entry("nats")!, shop.entry("all-in-one")!];
  process.kill(nats.pid, "SIGKILL");
  process.kill(service.pid, "SIGKILL");
  for (const before of [nats, service]) {
    const after = await waitUntil(
      () => {
        const entry = shop.entry(before.name);
        return entry?.pid !== before.pid && entry;
      },
      { what: `${before.name} is started again`, timeoutMs: 5_000 },
    );
    expect(after.ports).toEqual(before.ports);
    await waitUntil(() => accepts({ port: after.ports[0]! }), { what: `${before.name} listens`, timeoutMs: 5_000 });
  }

  const started = shop.running();
  // npm forwards a Ctrl-C, so it arrives twice.
  shop.child.kill("SIGINT");
  await shop.untilPrinted("stopping");
  shop.child.kill("SIGINT");
  expect(await shop.exited).toBe(0);
  expect(shop.output()).toContain("drained while redis was there");
  expect(shop.running()).toEqual([]);
  expect(started.filter(({ pid }) => processStamp(pid) !== undefined)).toEqual([]);
});

test("a start after a kill -9 of the starter stops the leftover processes and takes their place", async () => {
  const dataDir = temporaryFolder();
  const first = await startFakeShop(dataDir, noServers);
  await first.untilPrinted("Ctrl-C stops everything");
  const orphan = first.entry("all-in-one")!;
  first.child.kill("SIGKILL");
  await first.exited;
  expect(processStamp(orphan.pid)).toBe(orphan.stamp);

  const ports = Object.fromEntries(Object.entries(first.ports).map(([name, port]) => [name, String(port)]));
  const second = await startFakeShop(dataDir, { ...noServers, ...ports });
  await second.untilPrinted("Ctrl-C stops everything");
  expect(processStamp(orphan.pid)).toBeUndefined();
  expect(second.running().map(({ name }) => name)).toEqual(["supervisor", "all-in-one"]);
});

test("a port in use gives one line with the port and its variable, and nothing is started", async () => {
  const dataDir = temporaryFolder();
  const { ORDERS_PORT } = await freeShopPorts(dataDir);
  const listener = createServer().listen(ORDERS_PORT, "127.0.0.1");
  onTestFinished(() => void listener.close());
  const shop = await startFakeShop(dataDir, { ...noServers, ORDERS_PORT: String(ORDERS_PORT) });
  expect(await shop.exited).toBe(1);
  expect(shop.output()).toBe(
    `port ${ORDERS_PORT} (ORDERS_PORT) is already taken: stop what listens there, or set the variable to a free port\n`,
  );
  expect(shop.running()).toEqual([]);
});

test("a second start on the same data gives one line and leaves the first alone", async () => {
  const dataDir = temporaryFolder();
  const first = await startFakeShop(dataDir, noServers);
  await first.untilPrinted("Ctrl-C stops everything");
  const second = await startFakeShop(dataDir, noServers);
  expect(await second.exited).toBe(1);
  expect(second.output()).toBe(
    `${dataDir} is in use by another start (pid ${first.pid}): stop that one, or set DATA_DIR\n`,
  );
  expect(first.running().map(({ name }) => name)).toEqual(["supervisor", "all-in-one"]);
});

test("a service that cannot start is reported with its last log lines, and the start fails", async () => {
  const shop = await startFakeShop(temporaryFolder(), { ...noServers, FAKE_SERVICE: "broken" });
  expect(await shop.exited).toBe(1);
  expect(shop.output()).toMatch(/all-in-one dies repeatedly\n--- the end of .*all-in-one\.log\n.*cannot read my/);
  expect(shop.running()).toEqual([]);
});

test("the shop survives a closed reader of its output", async () => {
  const shop = await startFakeShop(temporaryFolder(), noServers);
  await shop.untilPrinted("starting all-in-one");
  shop.child.stdout!.destroy();
  shop.child.stderr!.destroy();
  const gateway = `http://127.0.0.1:${shop.ports.GATEWAY_PORT}/readyz`;
  await waitUntil(async () => (await fetch(gateway)).ok, { what: "it is ready", timeoutMs: 10_000 });
  // A service that dies makes the starter print.
  const before = shop.entry("all-in-one")!.pid;
  process.kill(before, "SIGKILL");
  await waitUntil(() => (shop.entry("all-in-one")?.pid ?? before) !== before, {
    what: "the service is started again",
    timeoutMs: 5_000,
  });
  shop.child.kill("SIGTERM");
  expect(await shop.exited).toBe(0);
});

test("a second Ctrl-C kills processes that do not stop", async () => {
  const shop = await startFakeShop(temporaryFolder(), { ...noServers, FAKE_SERVICE: "stubborn" });
  await shop.untilPrinted("Ctrl-C stops everything");
  const { pid } = shop.entry("all-in-one")!;
  shop.child.kill("SIGINT");
  await shop.untilPrinted("stopping");
  const again = setInterval(() => shop.child.kill("SIGINT"), 200);
  onTestFinished(() => clearInterval(again));
  expect(await shop.exited).toBe(130);
  expect(processStamp(pid)).toBeUndefined();
  expect(shop.running()).toEqual([]);
});

test("an existing administrator keeps the password, and the starter says so", async () => {
  const shop = await startFakeShop(temporaryFolder(), { ...noServers, FAKE_SERVICE: "other-admin" });
  await shop.untilPrinted("exists already; its password is not stored here");
});

test("npm start reports all invalid settings at once, and an unknown flag, and starts nothing", () => {
  const start = (args: string[], env: NodeJS.ProcessEnv) =>
    spawnSync(process.execPath, [join(import.meta.dirname, "start.mjs"), ...args], { env, encoding: "utf8" });
  const wrong = start([], { USERS_PORT: "0", ORDERS_PORT: "8080" });
  expect(wrong).toMatchObject({ status: 1 });
  expect(wrong.stdout).toBe(
    'USERS_PORT is "0", but a port is an integer of 1 to 65535\nGATEWAY_PORT and ORDERS_PORT are both 8080\n',
  );
  const weak = {
    TOKEN_KEYS_SECRET: "short",
    ADMIN_PASSWORD: "hunter2",
    ADMIN_USERNAME: "me",
  };
  const refused = start([], { ...weak, DATA_DIR: temporaryFolder() });
  expect(refused).toMatchObject({ status: 1 });
  expect(refused.stdout).toBe(
    [
      "TOKEN_KEYS_SECRET has 5 characters, but needs 32 characters at least",
      "ADMIN_PASSWORD has 7 characters, but needs 8 to 128 characters",
      'ADMIN_USERNAME is "me", but must be 3 to 64 of letters, digits and . _ -\n',
    ].join("\n"),
  );
  expect(start(["--spilt"], {}).stdout).toContain("Unknown option '--spilt'");
});

test("in watch mode every save restarts the services and reports when they are ready, and a broken save waits for the next one", async () => {
  const sources = temporaryFolder();
  const file = join(sources, "service.ts");
  const replace = (text: string) => {
    writeFileSync(`${file}~`, text);
    renameSync(`${file}~`, file);
  };
  const service = (version: number) => `import { createServer } from "node:http";
    for (const name of ["USERS_PORT", "INVENTORY_PORT", "ORDERS_PORT"]) createServer().listen(Number(process.env[name]));
    createServer((request, response) => {
      response.end(request.url === "/version" ? "${version}" : JSON.stringify({ products: [{}] }));
    }).listen(Number(process.env.GATEWAY_PORT));
    process.on("SIGTERM", () => process.exit(0));`;
  writeFileSync(file, service(1));
  const shop = await startFakeShop(temporaryFolder(), { ...noServers, FAKE_SOURCES: sources }, ["--watch"]);
  await shop.untilPrinted("Ctrl-C stops everything");
  const version = async () => await (await fetch(`http://127.0.0.1:${shop.ports.GATEWAY_PORT}/version`)).text();
  const times = (text: string) => shop.output().split(text).length - 1;
  const untilReadyAgain = (count: number) =>
    waitUntil(() => times("ready again in") === count, {
      what: `it is ready for the ${count}th time`,
      timeoutMs: 10_000,
    });

  for (const number of [2, 3]) {
    replace(service(number));
    await untilReadyAgain(number - 1);
    expect(await version()).toBe(String(number));
  }
  replace("export const broken = {");
  await shop.untilPrinted("before it was ready, waiting for the next save");
  expect(shop.output()).toContain(`${file}:1`);
  expect(shop.output()).not.toMatch(/^all-in-one: +at /m);
  replace(service(4));
  await untilReadyAgain(3);
  expect(await version()).toBe("4");
  expect(times("waiting for the next save")).toBe(1);
  expect(shop.output()).not.toContain("starting it again");
});

describe("an invalid setting is reported in one line, before anything is started:", () => {
  const file = import.meta.filename;
  const start = (env: NodeJS.ProcessEnv) =>
    spawnSync(process.execPath, [join(import.meta.dirname, "start.mjs")], { env, encoding: "utf8", timeout: 20_000 });

  test.each([
    ["DATA_DIR", file, "which is not a folder"],
    ["DATA_DIR", join(file, "within"), "which is not a folder, or is inside a file"],
    ["DATA_DIR", "/proc/nothing", "which can't be created there"],
    ["LISTEN_HOST", "203.0.113.7", "which is not an address of this machine"],
  ])("%s=%s", (name, value, said) => {
    const { status, stdout, stderr } = start({ DATA_DIR: temporaryFolder(), [name]: value });
    expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
    expect(stdout).toMatch(/^[A-Z_]+ .*\n$/);
    expect(stdout).toContain(name);
    expect(stdout).toContain(said);
  });
});

test.each(["::1", "0.0.0.0", "::", lanAddress()])("with LISTEN_HOST=%s the shop becomes ready there", async (host) => {
  const shop = await startFakeShop(temporaryFolder(), { ...noServers, LISTEN_HOST: host });
  await shop.untilPrinted("Ctrl-C stops everything");
  const reached = host === "::1" ? "[::1]" : host === lanAddress() ? host : "127.0.0.1";
  expect(shop.output()).toContain(`The shop is open at http://${reached}:${shop.ports.GATEWAY_PORT}`);
  expect(shop.output()).toContain(`http://${reached}:${shop.ports.GATEWAY_PORT}/docs`);
});

/** An external address of this machine, or an unusual loopback address if it has none. */
function lanAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  return addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.2";
}
