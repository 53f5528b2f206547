import { execFile } from "node:child_process";
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { packPackages, publishedPackages } from "@shop/tools/packages";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const names = publishedPackages().map(({ manifest }) => manifest.name);
/** The supported versions of Node; packages that depend on Connect's package for Node need 22. */
const nodeVersions = ["20", "22", "24"] as const;
const nodeOf = (version: string) => `node-${version}`;
/** An application's own dependencies. TypeScript is the oldest supported version. */
const companions = {
  "@arethetypeswrong/cli": "0.18.5",
  "@types/node": "20.19.0",
  fastify: "5.12.8",
  publint: "0.3.25",
  typescript: "5.7.3",
  vite: "8.3.8",
  ...Object.fromEntries(
    nodeVersions.map((version) => [nodeOf(version), `npm:node-${process.platform}-${process.arch}@${version}`]),
  ),
};

/** Outside of the repository, so that nothing in it is resolved by accident. */
const folder = mkdtempSync(join(tmpdir(), "shop-packages-"));
const tarballs = new Map<string, string>();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command in the application's folder and returns its output; throws with the output when it fails. */
async function run(command: string, ...args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd: folder, maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(" ")}\n${stdout}${stderr}`);
  }
}
const tool = async (name: string, ...args: readonly string[]) => await run(join("node_modules/.bin", name), ...args);
const write = (file: string, content: unknown) => writeFileSync(join(folder, file), JSON.stringify(content));

/** Compiles the application as strictly as TypeScript can, declarations of its packages included. */
async function compile(name: string, files: readonly string[], options: Record<string, unknown>): Promise<void> {
  write(`tsconfig.${name}.json`, {
    compilerOptions: {
      target: "es2022",
      strict: true,
      skipLibCheck: false,
      exactOptionalPropertyTypes: true,
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: true,
      outDir: name,
      ...options,
    },
    files,
  });
  await tool("tsc", "--project", `tsconfig.${name}.json`, "--pretty", "false");
}

beforeAll(async () => {
  for (const { name, tarball } of await packPackages(join(folder, "packed"))) tarballs.set(name, tarball);
  const packages = Object.fromEntries([...tarballs].map(([name, tarball]) => [name, `file:${tarball}`]));
  write("package.json", { private: true, type: "module", dependencies: { ...packages, ...companions } });
  await run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline");
  for (const file of globSync("*", { cwd: join(import.meta.dirname, "consumers") }))
    cpSync(join(import.meta.dirname, "consumers", file), join(folder, file));
});

describe.each(names)("%s", (name) => {
  test("has a package.json without findings of publint", async () => {
    expect(await tool("publint", "run", tarballs.get(name)!, "--strict")).toContain("All good!");
  });

  test("has declarations without findings of attw, as a package of ES modules only", async () => {
    expect(await tool("attw", tarballs.get(name)!, "--profile", "esm-only")).toContain(name);
  });

  test("contains no sources, tests or test data", async () => {
    const files = (await run("tar", "-tzf", tarballs.get(name)!))
      .split("\n")
      .map((file) => file.slice("package/".length));
    expect(files).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json"]));
    expect(files.filter((file) => /\btest/.test(file) || (file.endsWith(".ts") && !file.endsWith(".d.ts")))).toEqual(
      [],
    );
  });
});

test("the client's declarations hold without skipLibCheck and without the types of Node, for node16 and bundlers", async () => {
  const forPages = { lib: ["es2022", "dom", "dom.iterable", "esnext.disposable"], types: [] };
  await compile("page-node16", ["call-shop.ts"], { ...forPages, module: "node16" });
  const bundled = { module: "esnext", moduleResolution: "bundler" };
  await compile("page-bundler", ["call-shop.ts", "page.ts"], { ...forPages, ...bundled });
});

test("the servers' declarations hold without skipLibCheck, for node16 and bundlers", async () => {
  const forNode = { lib: ["es2022", "dom", "dom.iterable", "esnext.disposable"], types: ["node"] };
  await compile("server-node16", ["serve-shop.ts", "serve-calls.ts"], { ...forNode, module: "node16" });
  const bundled = { module: "esnext", moduleResolution: "bundler" };
  await compile("server-bundler", ["serve-shop.ts", "serve-calls.ts"], { ...forNode, ...bundled });
});

describe("compiled for Node", () => {
  beforeAll(() =>
    compile("server", ["serve-shop.ts", "serve-calls.ts"], {
      lib: ["es2022", "dom"],
      types: ["node"],
      module: "node16",
    }),
  );

  const nodeAt = async (version: string) => {
    const node = join("node_modules", nodeOf(version), "bin/node");
    expect(await run(node, "--version")).toMatch(new RegExp(`^v${version}\\.`));
    return node;
  };

  test.each(nodeVersions)("a REST server and a client of its services run in Node %s", async (version) => {
    const node = await nodeAt(version);
    expect(await run(node, "server/serve-shop.js")).toMatch(
      /^\{"products":\[\{.*"name":"Kettle".* 404 Kettle, PRODUCT_NOT_FOUND$/,
    );
  });

  test.each(nodeVersions.slice(1))(
    "a server of every protocol, and a client of it, run in Node %s",
    async (version) => {
      expect(await run(await nodeAt(version), "server/serve-calls.js")).toMatch(
        /^\{"products":\[\{.*"name":"Kettle".* 200 200 Kettle, PRODUCT_NOT_FOUND$/,
      );
    },
  );
});

test("Vite builds a page with the client, without modules of Node", async () => {
  await tool("vite", "build", "--logLevel", "warn");
  const [script] = globSync("dist/assets/*.js", { cwd: folder });
  const code = readFileSync(join(folder, script!), "utf8");
  expect(code).not.toMatch(/__vite-browser-external|from"node:/);
  expect(basename(script!)).toMatch(/^index-/);
});
