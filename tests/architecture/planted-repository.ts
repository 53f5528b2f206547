import { cpSync, globSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

/** The text of files by their path from the root. */
export type Files = Readonly<Record<string, string>>;

/** The package entries that planted imports need. */
const entries: Files = {
  "gen/src/shop/common/v1/money_pb.ts": "export type Money = object;",
  "gen/src/shop/orders/v1/events_pb.ts": "export type OrderPlaced = object;",
  "client/src/index.ts": "export const createShop = {};",
  "platform/http-port/src/index.ts": "export const closeStream = {};",
  "platform/rest/src/index.ts": "export const createTranscoder = {};",
  "platform/core/src/index.ts": "export class DomainError extends Error {}",
  "platform/money/src/index.ts": "export const sum = {};",
  "platform/rpc-server/src/index.ts": "export const listen = {};",
  "platform/runtime/src/index.ts": "export const run = {};",
  "platform/runtime/src/testing/index.ts": "export const silentLog = {};",
  "services/users/src/service.ts": "export const users = {};",
  "services/inventory/src/service.ts": "export const inventory = {};",
  "services/orders/src/service.ts": "export const orders = {};",
  "services/topology/src/index.ts": "export const services = {};",
  "gateway/src/gateway.ts": "export const gateway = {};",
  "tools/src/infra/index.ts": "export const infra = {};",
};

const libraries = [
  "mongodb",
  "@redis/client",
  "@nats-io/transport-node",
  "@opentelemetry/sdk-trace",
  "fastify",
  "vitest",
  "@bufbuild/protobuf",
  "@connectrpc/connect",
  "@connectrpc/connect-web",
  "@connectrpc/connect-node",
];

/**
 * Creates a repository with this one's packages (package.json with exports, and links), stub entries and the given files in a
 * temporary folder, which is removed after the test. Returns its root.
 */
export function plantRepository(files: Files): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "shop-planted-")));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));

  const manifests = globSync(["package.json", "*/package.json", "{services,platform}/*/package.json"], {
    cwd: repositoryRoot,
  });
  for (const manifest of manifests) {
    cpSync(join(repositoryRoot, manifest), join(root, manifest));
    const folder = dirname(manifest);
    const link = join(root, "node_modules/@shop", folder.split("/").at(-1)!);
    mkdirSync(dirname(link), { recursive: true });
    if (folder !== ".") symlinkSync(join(root, folder), link);
  }
  const stubs = libraries.flatMap((library) => [
    [`node_modules/${library}/package.json`, JSON.stringify({ name: library, exports: "./index.js" })],
    [`node_modules/${library}/index.js`, "export {};"],
  ]);
  for (const [file, text] of [...Object.entries(entries), ...stubs, ...Object.entries(files)]) {
    mkdirSync(dirname(join(root, file!)), { recursive: true });
    writeFileSync(join(root, file!), text!);
  }
  return root;
}
