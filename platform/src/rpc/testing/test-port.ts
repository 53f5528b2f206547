import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { onTestFinished } from "vitest";
import { silentLog } from "../../testing/index.ts";
import { createAddressSeal } from "../client-address.ts";
import { createRouterOptions } from "../router-options.ts";
import { listen, type RpcServer, type ServerOptions } from "../server.ts";

/** A public port that anybody may call, for a service whose methods are not implemented; closed when the test ends. */
export async function openTestPort(options: Partial<ServerOptions> = {}): Promise<RpcServer> {
  const authorize = async () => ({ kind: "service", name: "test" }) as const;
  const server = await listen({
    openApi: undefined,
    name: "test",
    host: "127.0.0.1",
    port: 0,
    services: [DeadLetterService],
    corsOrigins: [],
    isPublic: true,
    trustsProxy: () => false,
    connectionLimits: undefined,
    addressSeal: createAddressSeal("a secret of this test, long enough"),
    hosted: () => (router) => router.service(DeadLetterService, {}),
    refusal: () => undefined,
    leanCalls: true,
    metrics: undefined,
    neighbours: [],
    foreignNeighbours: false,
    reflection: true,
    routerOptions: createRouterOptions(authorize, silentLog, options.metrics),
    authorize,
    missing: async () => [],
    stopping: new AbortController().signal,
    log: silentLog,
    ...options,
  });
  onTestFinished(() => server.close());
  return server;
}
