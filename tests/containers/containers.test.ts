import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chownSync, mkdtempSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { createShop } from "@shop/client";
import { OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { choosePorts, composeProject } from "@shop/tools/infra";
import { defaultPorts, processNames } from "@shop/topology";
import { MongoClient } from "mongodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { protocols } from "../e2e/clients.ts";
import { eventually } from "../e2e/eventually.ts";
import { type Account, buy, signIn, signUp, usualHabits } from "../resilience/buyers.ts";
import { seededRandom } from "../resilience/random.ts";
import { acceptedIds, startRecord } from "../resilience/record.ts";
import { converge, stockUp } from "../resilience/run.ts";
import { ownEnvironment } from "../setup/own-environment.ts";
import { provideBaseImages } from "./base-images.ts";
import { type Engine, openEngine, repositoryRoot, say } from "./engine.ts";
import { startFailoverLoad } from "./failover-load.ts";
import { type AddedLayers, addedLayers } from "./image-files.ts";

// Takes about ten minutes, and five more the first time, when base images are built or pulled.

const tag = randomBytes(4).toString("hex");
const project = `shop-test-${tag}`;
const [image, newImage] = [`shop-test:${tag}-1`, `shop-test:${tag}-2`];
const base = "node:24-slim";
const dataDir = realpathSync(mkdtempSync(join(tmpdir(), "shop-containers-")));
const starterDir = realpathSync(mkdtempSync(join(tmpdir(), "shop-starter-")));
const envFile = join(dataDir, "compose.env");
const admin = { username: "admin", password: randomBytes(12).toString("base64url") };
/** The owner of the key files: the image's own user. */
const owner = process.getuid?.() === 0 ? 1_000 : (process.getuid?.() ?? 1_000);
const servers = ["mongodb", "redis", "nats"];
let engine: Engine;
let ports: Readonly<Record<string, string>>;
let urls: readonly string[];

const composeFiles = { single: ["compose.yaml"], replicas: ["compose.yaml", "compose.replicas.yaml"] };
type Shape = keyof typeof composeFiles;

/** Runs Docker Compose on the test's shop. */
async function compose(shape: Shape, ...args: readonly string[]): Promise<string> {
  const files = composeFiles[shape].flatMap((file) => ["--file", file]);
  const all = ["compose", "--project-name", project, "--env-file", envFile, ...files, "--profile", "shop", ...args];
  return await engine.docker(all, { timeoutMs: 300_000 });
}

async function inspect<Value>(container: string, format: string): Promise<Value> {
  return JSON.parse(await engine.docker(["inspect", "--format", `{{json ${format}}}`, container]));
}

beforeAll(async () => {
  engine = await openEngine({ projects: [project, composeProject(starterDir)], images: [image, newImage] });
  await provideBaseImages(engine);
  for (const name of [image, newImage]) {
    const began = performance.now();
    await engine.docker(["build", "--quiet", "--no-cache", "--network=host", "--tag", name, "."], {
      timeoutMs: 600_000,
    });
    say(`built ${name} in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  }
});
afterAll(async () => {
  await engine?.close();
  for (const folder of [dataDir, starterDir]) await rm(folder, { recursive: true, force: true });
});

describe("the image", () => {
  let layers: AddedLayers;
  beforeAll(async () => {
    layers = await addedLayers(engine, image, base);
  });
  afterAll(() => layers?.remove());
  const installed = () =>
    [...layers.files.keys()].filter((path) => /(^|\/)node_modules\/(@[^/]+\/)?[^@/][^/]*\/package\.json$/.test(path));

  test("runs without root, and adds at most 120 MB", async () => {
    say(`our layers have ${(layers.bytes / 1e6).toFixed(1)} MB in ${layers.files.size} files`);
    expect(layers.bytes).toBeLessThan(120e6);
    expect(await inspect(image, ".Config.User")).toBe("node");
  });

  test("adds no package manager, no development packages, no tests and no documents", () => {
    const lock = JSON.parse(readFileSync(join(repositoryRoot, "package-lock.json"), "utf8")) as {
      packages: Record<string, { dev?: boolean }>;
    };
    const unwanted = installed().filter(
      (path) => lock.packages[path.replace(/^shop\/|\/package\.json$/g, "")]?.dev !== undefined,
    );
    expect(unwanted).toEqual([]);
    const names = [...layers.files.keys()];
    expect(names).toContain("shop/node_modules/fastify/package.json");
    expect(names.filter((path) => /\/node_modules\/(npm|corepack|yarn|pnpm)\//.test(path))).toEqual([]);
    expect(names.filter((path) => /\.(test\.[mc]?[jt]s|md|map)$|\/(tests?|__tests__|contract)\//i.test(path))).toEqual(
      [],
    );
    expect(names.filter((path) => !path.startsWith("shop/"))).toEqual([]);
  });

  test("has a bill of materials in CycloneDX that lists exactly its packages", () => {
    const { bomFormat, specVersion, components } = JSON.parse(layers.read("shop/sbom.json")) as {
      bomFormat: string;
      specVersion: string;
      components: { purl: string }[];
    };
    say(`the bill of materials, ${bomFormat} ${specVersion}, has ${components.length} packages`);
    const ours = [...layers.files.keys()].filter((path) => /^shop\/(\w+\/)?[\w-]+\/package\.json$/.test(path));
    const packages = [...installed(), ...ours].map((path) => {
      const { name, version } = JSON.parse(layers.read(path)) as { name: string; version: string };
      return `pkg:npm/${name.replace("@", "%40")}@${version}`;
    });
    expect(new Set(components.map(({ purl }) => purl))).toEqual(new Set(packages));
  });

  test("is built twice with the same files", async () => {
    const again = await addedLayers(engine, newImage, base);
    const differing = [...new Set([...layers.files.keys(), ...again.files.keys()])].filter(
      (path) => layers.files.get(path) !== again.files.get(path),
    );
    await again.remove();
    say(`${differing.length} of ${layers.files.size} files differ between two builds`);
    expect(differing).toEqual([]);
  });
});

describe("the shop in containers", () => {
  beforeAll(async () => {
    const chosen = await choosePorts(
      join(dataDir, "ports.json"),
      Object.fromEntries(
        [...Object.keys(defaultPorts), "GATEWAY_2_PORT", ...servers.map((name) => `${name.toUpperCase()}_PORT`)].map(
          (name) => [name, 1],
        ),
      ),
    );
    ports = Object.fromEntries(Object.entries(chosen).map(([name, [port]]) => [name, String(port)]));
    urls = [`http://127.0.0.1:${ports.GATEWAY_PORT}`, `http://127.0.0.1:${ports.GATEWAY_2_PORT}`];
    const run = (script: string) =>
      execFileSync(process.execPath, [join(repositoryRoot, script)], {
        encoding: "utf8",
        env: { ...process.env, DATA_DIR: dataDir },
      });
    run("tools/src/service-keys-command.ts");
    const variables = {
      ...ports,
      DATA_DIR: dataDir,
      SHOP_IMAGE: image,
      SHOP_USER: `${owner}:${owner}`,
      TOKEN_KEYS_SECRET: randomBytes(32).toString("hex"),
      ADMIN_PASSWORD: admin.password,
    };
    const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(envFile, run("tools/src/credentials.ts") + lines.join(""), { mode: 0o600 });
    if (process.getuid?.() === 0) {
      const keys = join(dataDir, "keys");
      for (const entry of ["", ...readdirSync(keys, { recursive: true, encoding: "utf8" })])
        chownSync(join(keys, entry), owner, owner);
    }
    const began = performance.now();
    await compose("single", "up", "--no-build", "--wait");
    say(`all containers are healthy after ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  });

  test.each(processNames)("%s runs without root, capabilities and a writable file system", async (name) => {
    const container = await compose("single", "ps", "--quiet", name);
    expect(await inspect(container, ".HostConfig")).toMatchObject({
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges:true"],
      Privileged: false,
    });
    const script = "fs.writeFileSync('/shop/written', '')";
    await expect(engine.docker(["exec", container, "node", "-e", script])).rejects.toThrow("EROFS");
    const ids = await engine.docker(["exec", container, "node", "-p", "[process.getuid(), process.getgid()].join()"]);
    expect(ids).toBe(`${owner},${owner}`);
  });

  test("every accepted order reaches one final status and stock adds up while each container is killed", async () => {
    const recorder = startRecord();
    const random = seededRandom(22);
    const clerk = await signIn(urls[0]!, admin.username, admin.password);
    await stockUp(clerk, recorder, { products: 20, stock: 300 });
    const accounts: Account[] = [];
    for (let buyer = 0; buyer < 4; buyer++) accounts.push(await signUp(urls[0]!, `buyer-${buyer}`));
    const [closing, closed] = [new AbortController(), new AbortController()];
    const until = { closing: closing.signal, closed: closed.signal };
    const crowd = accounts.map((account, index) =>
      buy(account, `buyer-${index}`, { recorder, random: random.fork(`${index}`), habits: usualHabits, until }),
    );
    for (const name of [...processNames, ...servers]) {
      const container = await compose("single", "ps", "--quiet", name);
      const before = acceptedIds(recorder.history).size;
      await engine.docker(["kill", container]);
      // The orders that are accepted without it, or none.
      await eventually(async () => expect(await inspect(container, ".State.Running")).toBe(false));
      await compose("single", "up", "--detach", "--no-build", "--no-recreate", "--wait", name);
      await eventually(() => expect(acceptedIds(recorder.history).size).toBeGreaterThan(before), { timeoutMs: 60_000 });
      say(`${name} was killed and is back; ${acceptedIds(recorder.history).size} orders accepted`);
    }
    closing.abort();
    const lastHitAt = Date.now();
    await Promise.all(crowd);
    closed.abort();
    const { accounts: passwords } = (
      JSON.parse(readFileSync(join(dataDir, "secrets.json"), "utf8")) as {
        servers: { accounts: Record<string, { mongodbPassword: string; natsSeed: string }> };
      }
    ).servers;
    const { mongodbPassword, natsSeed } = passwords.operator!;
    const mongo = new MongoClient(
      `mongodb://operator:${mongodbPassword}@127.0.0.1:${ports.MONGODB_PORT}/?directConnection=true`,
      { readConcernLevel: "majority" },
    );
    try {
      const natsUrl = `nats://operator:${natsSeed}@127.0.0.1:${ports.NATS_PORT}`;
      const { observed, problems, convergedMs } = await converge(
        clerk,
        mongo,
        natsUrl,
        recorder.history,
        lastHitAt,
        say,
      );
      const statuses = Object.entries(Object.groupBy(observed.orders, ({ status }) => status));
      say(
        `converged in ${convergedMs} ms: ${statuses.map(([status, orders]) => `${status} ${orders!.length}`).join(", ")}`,
      );
      expect(problems).toEqual([]);
      expect(convergedMs).toBeDefined();
    } finally {
      await mongo.close();
    }
  });

  describe.each(Object.entries(protocols))("with %s", (name, connect) => {
    test("an order is placed and confirmed", async () => {
      const { productId, headers } = await customer(`protocol-${randomBytes(4).toString("hex")}`);
      const client = connect(urls[0]!);
      const call = async (method: "createOrder" | "getOrderByID", request: JsonObject) => {
        const outcome = await client.call({ method: OrderService.method[method], request, headers });
        if ("error" in outcome) throw new Error(`${name}: ${JSON.stringify(outcome.error)}`);
        return (outcome.message as { order: { orderId: string; status: string } }).order;
      };
      const { orderId } = await call("createOrder", { items: [{ productId, quantity: 1 }] });
      await eventually(async () => expect((await call("getOrderByID", { orderId })).status).toMatch(/CONFIRMED$/));
      client.close();
    });
  });

  test("with @shop/client an order is watched until it is confirmed", async () => {
    const shop = createShop({ baseUrl: urls[0]! });
    const { productId, ...credentials } = await customer("watcher");
    await shop.session.signIn(credentials);
    const { order } = await shop.orders.createOrder({ items: [{ productId, quantity: 1 }] });
    const seen: OrderStatus[] = [];
    for await (const transition of shop.watchOrder(order!.orderId)) {
      seen.push(transition.order.status);
      if (transition.order.status !== OrderStatus.PENDING) break;
    }
    expect(seen.at(-1)).toBe(OrderStatus.CONFIRMED);
  });

  test("no request fails while each of two containers per process is replaced by one of a new image", async () => {
    await compose("replicas", "up", "--no-build", "--wait");
    const clerk = await signIn(urls[0]!, admin.username, admin.password);
    const stock = 100_000;
    const recorder = startRecord();
    await stockUp(clerk, recorder, { products: 10, stock });
    const productIds = recorder.history.products.map(({ productId }) => productId);
    const tokens: string[] = [];
    for (let caller = 0; caller < 4; caller++) tokens.push((await customer(`caller-${caller}`)).token);

    const load = startFailoverLoad(urls, { tokens, productIds });
    await eventually(() => expect(load.report.orderIds.size).toBeGreaterThan(20), { timeoutMs: 30_000 });
    for (const name of processNames.flatMap((process) => [process, `${process}-2`])) {
      const began = performance.now();
      const before = await compose("replicas", "ps", "--quiet", name);
      const replaced = await replace(name);
      expect(replaced).not.toBe(before);
      expect(await inspect(replaced, ".Config.Image")).toBe(newImage);
      const { answered, failed, failovers } = load.report;
      const repeated = Object.values(failovers).reduce((sum, times) => sum + times, 0);
      const seconds = ((performance.now() - began) / 1_000).toFixed(0);
      say(
        `${name} replaced in ${seconds} s; ${answered} requests answered, ${failed.length} failed, ${repeated} repeated`,
      );
    }
    const { failed, failovers, orderIds, slowestMs } = await load.stop();
    say(`slowest request ${slowestMs.toFixed(0)} ms; repeated at the other gateway: ${JSON.stringify(failovers)}`);
    expect(failed).toEqual([]);

    const confirmed = new Map<string, number>();
    await eventually(
      async () => {
        confirmed.clear();
        for (const orderId of orderIds) {
          const { order } = await clerk.orders.getOrderByID({ orderId });
          expect(order!.status).toBe(OrderStatus.CONFIRMED);
          const { productId } = order!.items[0]!;
          confirmed.set(productId, (confirmed.get(productId) ?? 0) + 1);
        }
      },
      { timeoutMs: 30_000 },
    );
    for (const productId of productIds) {
      await eventually(async () => {
        const { product } = await clerk.inventory.getProductByID({ productId });
        expect(product!.stock).toBe(stock - (confirmed.get(productId) ?? 0));
      });
    }
  });

  /** Replaces a container by one of the new image, and returns the id of the new one. */
  async function replace(name: string): Promise<string> {
    const files = composeFiles.replicas.flatMap((file) => ["--file", file]);
    const common = ["compose", "--project-name", project, "--env-file", envFile, ...files, "--profile", "shop"];
    await engine.docker([...common, "up", "--detach", "--no-deps", "--no-build", "--wait", name], {
      timeoutMs: 180_000,
      env: { SHOP_IMAGE: newImage },
    });
    return await compose("replicas", "ps", "--quiet", name);
  }

  /** A new customer, and a product that they can buy. */
  async function customer(username: string) {
    const password = "correct horse battery staple";
    const clerk = await signIn(urls[0]!, admin.username, admin.password);
    const recorder = startRecord();
    await stockUp(clerk, recorder, { products: 1, stock: 10 });
    const post = async (path: string) => {
      const response = await fetch(`${urls[0]}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ username, password }),
      });
      const answer = (await response.json()) as { access_token: string };
      if (!response.ok) throw new Error(JSON.stringify(answer));
      return answer;
    };
    await post("/register");
    const { access_token: token } = await post("/authenticate");
    const { productId } = recorder.history.products[0]!;
    return { username, password, token, productId, headers: { authorization: `Bearer ${token}` } };
  }
});

test("npm start takes its servers from Docker, and stops them", async () => {
  const chosen = await choosePorts(
    join(starterDir, "test-ports.json"),
    Object.fromEntries(Object.keys(defaultPorts).map((name) => [name, 1])),
  );
  const url = `http://127.0.0.1:${chosen.GATEWAY_PORT![0]}`;
  const starter = spawn(process.execPath, [join(repositoryRoot, "tools/src/start.mjs")], {
    cwd: repositoryRoot,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...ownEnvironment(),
      ...Object.fromEntries(Object.entries(chosen).map(([name, [port]]) => [name, String(port)])),
      ...Object.fromEntries(["DOCKER_HOST", "DOCKER_CONFIG"].map((name) => [name, engine.env[name]])),
      DATA_DIR: starterDir,
      ADMIN_PASSWORD: admin.password,
    },
  });
  let output = "";
  for (const stream of [starter.stdout, starter.stderr]) stream.on("data", (chunk) => (output += chunk));
  const exited = once(starter, "exit");
  const containers = async () => {
    const label = `label=com.docker.compose.project=${composeProject(starterDir)}`;
    return (await engine.docker(["ps", "--filter", label, "--format", "{{.Image}}"]))
      .split("\n")
      .filter(Boolean)
      .toSorted();
  };
  try {
    await eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200), {
      timeoutMs: 180_000,
      hopeless: () => starter.exitCode !== null,
    }).catch((error) => {
      throw new Error(output, { cause: error });
    });
    expect(await containers()).toEqual(["mongo:8", "nats:2-alpine", "redis:8"]);
    const { orders } = await signUp(url, "shopper");
    const clerk = await signIn(url, admin.username, admin.password);
    const recorder = startRecord();
    await stockUp(clerk, recorder, { products: 1, stock: 10 });
    const { order } = await orders.createOrder({
      items: [{ productId: recorder.history.products[0]!.productId, quantity: 1 }],
    });
    await eventually(async () => {
      const { order: now } = await orders.getOrderByID({ orderId: order!.orderId });
      expect(now!.status).toBe(OrderStatus.CONFIRMED);
    });
  } finally {
    starter.kill("SIGINT");
  }
  expect((await exited)[0], output).toBe(0);
  expect(await containers()).toEqual([]);
  say("npm start ran with servers from Docker");
});
