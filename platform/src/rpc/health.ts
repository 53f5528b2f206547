import type { DescService } from "@bufbuild/protobuf";
import type { FastifyInstance } from "fastify";
import type { Neighbour } from "./clients.ts";

const neighbourTimeoutMs = 2_000;

/**
 * `GET /healthz`: the process answers. `GET /readyz`: 200 when everything behind this port could do its work, else 503
 * with what is missing.
 */
export function addHealth(
  app: FastifyInstance,
  options: {
    readonly services: readonly DescService[];
    readonly neighbours: readonly Neighbour[];
    hosted(service: DescService): unknown;
    notReady(): Promise<string | undefined>;
  },
): void {
  const remote = options.neighbours.filter(
    ({ service }) =>
      options.services.some(({ typeName }) => typeName === service.typeName) && options.hosted(service) === undefined,
  );

  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const missing = (await Promise.all([options.notReady(), ...remote.map(neighbourNotReady)])).filter(
      (reason) => reason !== undefined,
    );
    if (missing.length === 0) return { status: "ready" };
    return reply.code(503).send({ status: "not ready", missing: [...new Set(missing)] });
  });
}

/** One replica that is ready is enough. */
async function neighbourNotReady({ service, urls }: Neighbour): Promise<string | undefined> {
  const ready = urls.map(async (url) => {
    const { ok } = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(neighbourTimeoutMs) });
    if (!ok) throw new Error(`${url} is not ready`);
  });
  return await Promise.any(ready).then(
    () => undefined,
    () => `${service.typeName} is not ready`,
  );
}
