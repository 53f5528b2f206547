// A program of two modules without dependencies: each port allows pages of one origin, and at most eight connections.

import { setting } from "@shop/core";
import { z } from "zod";
import { run } from "../../run.ts";
import { defineModule } from "../../service-module.ts";

const modules = ["a", "b"].map((name) =>
  defineModule({
    name,
    config: z.object({ [`${name.toUpperCase()}_PORT`]: setting.port(0) }),
    implements: [],
    isPublic: true,
    corsOrigins: () => [`http://${name}.example`],
    connectionLimits: () => ({ total: 8, perAddress: 0 }),
    port: (config) => config[`${name.toUpperCase()}_PORT`] as number,
    upstreams: () => [],
  }),
);
await run(modules);
