import { connect } from "node:net";
import { createLogger, readConfig } from "@shop/core";
import { forwardTo } from "@shop/proxy";
import { listen } from "@shop/rpc-server";
import { forwarderConfig, servicesOf } from "./forwarder-config.ts";

/**
 * The gateway's port for the services of any descriptor set: every protocol, REST, reflection and health in front of a server
 * of another vendor. Without authorization: any client that can connect may call.
 *
 * @throws ConfigError if the environment is invalid
 */
export async function startForwarder(environment: NodeJS.ProcessEnv): Promise<{ close(): Promise<void> }> {
  const config = readConfig({ forwarder: forwarderConfig }, environment).forwarder;
  const services = servicesOf(config.DESCRIPTOR_SET, config.SERVICES);
  const url = config.UPSTREAM_URL.replace(/\/$/, "");
  const log = createLogger(config.LOG_LEVEL);
  const stopping = new AbortController();
  const server = await listen({
    name: "forwarder",
    host: config.LISTEN_HOST,
    port: config.LISTEN_PORT,
    services,
    forwarding: forwardTo({
      upstreams: services.map((service) => ({ name: "upstream", service, urls: [url] })),
      areOfOtherVendors: true,
    }),
    hosted: () => undefined,
    authorize: async () => ({ kind: "anonymous" }),
    routerOptions: { interceptors: [], readMaxBytes: config.READ_MAX_BYTES },
    isPublic: true,
    jsonNames: config.JSON_NAMES,
    reflection: config.REFLECTION,
    missing: async () => ((await accepts(url)) ? [] : [`${url} does not accept connections`]),
    stopping: stopping.signal,
    log,
  });
  log.info({ port: server.port, upstream: url }, "ready");
  return {
    async close() {
      log.info("draining");
      stopping.abort();
      await server.close();
      log.info("drained");
    },
  };
}

const connectTimeoutMs = 2_000;

/** Whether the server accepts connections: it need not implement health checks. */
function accepts(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port || 80),
      timeout: connectTimeoutMs,
    });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => settle(true));
    for (const event of ["timeout", "error"]) socket.once(event, () => settle(false));
  });
}
