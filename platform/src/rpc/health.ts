import type { DescService } from "@bufbuild/protobuf";
import type { FastifyInstance } from "fastify";
import type { Neighbour } from "./clients.ts";

const neighbourTimeoutMs = 2_000;

/**
 * `GET /healthz`: the process answers. `GET /readyz`: 200 when everything behind this port could do its work, else 503
 * with all that is missing.
 */
export function addHealth(
  app: FastifyInstance,
  options: {
    readonly services: readonly DescService[];
    readonly neighbours: readonly Neighbour[];
    hosted(service: DescService): unknown;
    missing(): Promise<readonly string[]>;
  },
): void {
  const remote = options.neighbours.filter(
    ({ service }) =>
      options.services.some(({ typeName }) => typeName === service.typeName) && options.hosted(service) === undefined,
  );

  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const missing = (await Promise.all([options.missing(), ...remote.map(neighbourMissing)])).flat();
    if (missing.length === 0) return { status: "ready" };
    return reply.code(503).send({ status: "not ready", missing: [...new Set(missing)] });
  });
}

/** One replica that is ready is enough. */
async function neighbourMissing({ service, urls }: Neighbour): Promise<readonly string[]> {
  const ready = urls.map(async (url) => {
    const { ok } = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(neighbourTimeoutMs) });
    if (!ok) throw new Error(`${url} is not ready`);
  });
  return await Promise.any(ready).then(
    () => [],
    () => [`${service.typeName} is not ready`],
  );
}
