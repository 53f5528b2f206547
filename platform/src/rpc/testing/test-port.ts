import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { onTestFinished } from "vitest";
import { silentLog } from "../../testing/index.ts";
import { barePort } from "../bare-port.ts";
import { createRouterOptions } from "../router-options.ts";
import { listen, type RpcServer, type ServerOptions } from "../server.ts";

/** A public port that anybody may call, for a service whose methods are not implemented; closed when the test ends. */
export async function openTestPort(options: Partial<ServerOptions> = {}): Promise<RpcServer> {
  const authorize = async () => ({ kind: "service", name: "test" }) as const;
  const server = await listen({
    ...barePort,
    name: "test",
    services: [DeadLetterService],
    isPublic: true,
    forwardingCredentialFor: (audience) => `a credential for ${audience}`,
    hosted: () => (router) => router.service(DeadLetterService, {}),
    leanCalls: true,
    reflection: true,
    routerOptions: createRouterOptions(authorize, silentLog, options.metrics),
    authorize,
    log: silentLog,
    ...options,
  });
  onTestFinished(() => server.close());
  return server;
}
