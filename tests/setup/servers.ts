import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {} from "@shop/runtime/testing";
import { startInfra } from "@shop/tools/infra";
import type { TestProject } from "vitest/node";
import { ownEnvironment } from "./own-environment.ts";

/** Starts a MongoDB replica set, Redis and NATS on free ports, for all integration tests of a run. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), "shop-servers-"));
  const servers = await startInfra({ dataDir, log: console.log, env: ownEnvironment() });
  project.provide("mongodbUri", servers.mongodbUri);
  project.provide("redisUrl", servers.redisUrl);
  project.provide("natsUrl", servers.natsUrl);
  return async () => {
    await servers.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}
