import { setTimeout as delay } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "@shop/gen/grpc/health/v1/health_pb";
import type { FastifyInstance } from "fastify";

export interface HealthOptions {
  /** What the port answers for. */
  readonly services: readonly DescService[];
  /** What keeps these services from doing their work, as a person would say it; nothing when they can. */
  missing(services: readonly DescService[]): Promise<readonly string[]>;
  /** Fires when the process begins to drain. */
  readonly stopping: AbortSignal;
}

/**
 * `GET /healthz`: the process answers. `GET /readyz`: 200 when everything behind this port could do its work, else 503
 * with all that is missing.
 */
export function addHealth(app: FastifyInstance, { services, missing }: HealthOptions): void {
  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const reasons = await missing(services);
    if (reasons.length === 0) return { status: "ready" };
    return reply.code(503).send({ status: "not ready", missing: reasons });
  });
}

/** How often a status that somebody watches is looked at; what was found then also answers the checks until the next look. */
const lookEveryMs = 1_000;
/** More on one port are refused. */
const maxWatches = 100;

/**
 * grpc.health.v1: SERVING when a service could do its work; of the service "" when `/readyz` says so. Watch says each change
 * within a second, until the process drains.
 */
export function healthRoutes({ services, missing, stopping }: HealthOptions): (router: ConnectRouter) => void {
  const byName = new Map([["", services], ...services.map((service) => [service.typeName, [service]] as const)]);
  const looks = new Map<string, { readonly at: number; readonly status: Promise<ServingStatus> }>();
  let watches = 0;

  /** Undefined for a service that nobody knows here. */
  async function statusOf(name: string): Promise<ServingStatus | undefined> {
    const asked = byName.get(name);
    if (asked === undefined) return undefined;
    const now = performance.now();
    const known = looks.get(name);
    if (known !== undefined && now - known.at < lookEveryMs) return await known.status;
    const status = missing(asked).then(
      (reasons) => (reasons.length === 0 && !stopping.aborted ? ServingStatus.SERVING : ServingStatus.NOT_SERVING),
      () => ServingStatus.NOT_SERVING,
    );
    looks.set(name, { at: now, status });
    return await status;
  }

  async function* watch(name: string, signal: AbortSignal) {
    let told: ServingStatus | undefined;
    while (!signal.aborted) {
      const status = (await statusOf(name)) ?? ServingStatus.SERVICE_UNKNOWN;
      if (status !== told) yield { status };
      told = status;
      // Rejects when it is aborted, and the loop ends.
      await delay(lookEveryMs, undefined, { signal }).catch(() => {});
    }
    if (stopping.aborted && told !== ServingStatus.NOT_SERVING) yield { status: ServingStatus.NOT_SERVING };
  }

  return (router) =>
    router.service(Health, {
      async check({ service }) {
        const status = await statusOf(service);
        if (status === undefined) throw new ConnectError("there is no such service", Code.NotFound);
        return { status };
      },
      async list() {
        const names = [...byName.keys()];
        const statuses = await Promise.all(names.map(async (name) => ({ status: (await statusOf(name))! })));
        return { statuses: Object.fromEntries(names.map((name, index) => [name, statuses[index]!])) };
      },
      async *watch({ service }, { signal }) {
        if (watches >= maxWatches) throw new ConnectError("too many watch already", Code.ResourceExhausted);
        watches += 1;
        try {
          yield* watch(service, AbortSignal.any([signal, stopping]));
        } finally {
          watches -= 1;
        }
      },
    });
}
