import type { DescService } from "@bufbuild/protobuf";
import { isPublicRead } from "@shop/auth";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { forwardTo } from "@shop/proxy";
import { requestValidator } from "@shop/runtime";
import { silentLog } from "@shop/runtime/testing";
import { onTestFinished } from "vitest";
import type { Authorize } from "../pipeline/authorize.ts";
import { type CallRules, createRouterOptions } from "../pipeline/router-options.ts";
import { listen, type RpcServer, type ServerOptions } from "../server.ts";

/** The rules of a service's port, with this authorization. */
export function testRules(authorize: Authorize, metrics?: CallRules["metrics"]) {
  return { authorize, isPublicRead, validator: requestValidator, log: silentLog, metrics } satisfies CallRules;
}

/** Options for a port that forwards all calls of these services to the port at a URL. */
export function forwarding(url: string, services: readonly DescService[] = [DeadLetterService]) {
  return {
    hosted: () => undefined,
    forwarding: forwardTo({
      upstreams: services.map((service) => ({ name: "test", service, urls: [url] })),
      credentialFor: (audience) => `a credential for ${audience}`,
    }),
  } satisfies Partial<ServerOptions>;
}

/** A public port without authorization, for a service whose methods are not implemented; closed when the test ends. */
export async function openTestPort(options: Partial<ServerOptions> = {}): Promise<RpcServer> {
  const authorize = async () => ({ kind: "service", name: "test" }) as const;
  const server = await listen({
    name: "test",
    services: [DeadLetterService],
    isPublic: true,
    hosted: () => (router) => router.service(DeadLetterService, {}),
    routerOptions: createRouterOptions(testRules(authorize, options.metrics)),
    authorize,
    log: silentLog,
    ...options,
  });
  onTestFinished(() => server.close());
  return server;
}
