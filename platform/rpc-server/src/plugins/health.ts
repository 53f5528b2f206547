import { setTimeout as delay } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "@shop/gen/grpc/health/v1/health_pb";
import type { FastifyInstance } from "fastify";

export interface HealthOptions {
  /** The services whose health the port reports. */
  readonly services: readonly DescService[];
  /** The reasons, in words, why these services are not ready; empty if they are. */
  missing(services: readonly DescService[]): Promise<readonly string[]>;
  /** Whether the port is about to close. */
  isClosing(): boolean;
  /** Fires when the port closes. */
  readonly stopping: AbortSignal;
}

/**
 * `GET /healthz`: 200 while the process answers. `GET /readyz`: 200 if all services behind the port are ready, else 503 with
 * everything that is missing.
 */
export function addHealth(app: FastifyInstance, { services, missing, isClosing }: HealthOptions): void {
  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const reasons = isClosing() ? ["the process is stopping"] : await missing(services);
    if (reasons.length === 0) return { status: "ready" };
    return reply.code(503).send({ status: "not ready", missing: reasons });
  });
}

/** How often a watched status is checked, in milliseconds; the result is reused by other checks until then. */
const checkIntervalMs = 1_000;
/** Further watches on one port are refused. */
const maxWatches = 100;

/**
 * grpc.health.v1: SERVING if a service is ready; for the service "" if `/readyz` is 200. Watch reports each change within a
 * second, until the process drains.
 */
export function healthRoutes({
  services,
  missing,
  isClosing,
  stopping,
}: HealthOptions): (router: ConnectRouter) => void {
  const byName = new Map([["", services], ...services.map((service) => [service.typeName, [service]] as const)]);
  const checks = new Map<string, { readonly at: number; readonly status: Promise<ServingStatus> }>();
  let watches = 0;

  /** Undefined for an unknown service. */
  async function statusOf(name: string): Promise<ServingStatus | undefined> {
    const asked = byName.get(name);
    if (asked === undefined) return undefined;
    const now = performance.now();
    const known = checks.get(name);
    if (known !== undefined && now - known.at < checkIntervalMs) return await known.status;
    const status = missing(asked).then(
      (reasons) => (reasons.length === 0 && !isClosing() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING),
      () => ServingStatus.NOT_SERVING,
    );
    checks.set(name, { at: now, status });
    return await status;
  }

  async function* watch(name: string, signal: AbortSignal) {
    let reported: ServingStatus | undefined;
    while (!signal.aborted) {
      const status = (await statusOf(name)) ?? ServingStatus.SERVICE_UNKNOWN;
      if (status !== reported) yield { status };
      reported = status;
      // Rejects on abort, and the loop ends.
      await delay(checkIntervalMs, undefined, { signal }).catch(() => {});
    }
    if (stopping.aborted && reported !== ServingStatus.NOT_SERVING) yield { status: ServingStatus.NOT_SERVING };
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
