import { defineModule } from "@shop/runtime";
import { allServices } from "@shop/topology/contracts";
import { locate } from "@shop/topology/settings";
import { gatewayConfig } from "./config.ts";

/** The public port: every service of the topology is exposed, wherever it runs. */
export const gateway = defineModule({
  name: "gateway",
  config: gatewayConfig,
  implements: [],
  exposes: allServices,
  isPublic: true,
  corsOrigins: (config) => config.CORS_ORIGINS,
  trustsProxy: (config) => config.TRUSTED_PROXIES,
  continuesCallerTraces: (config) => config.CONTINUE_CALLER_TRACES,
  connectionLimits: (config) => ({ total: config.CONNECTIONS_AT_ONCE, perAddress: config.CONNECTIONS_PER_ADDRESS }),
  openApi: (config) => (config.API_DOCS ? new URL(import.meta.resolve("@shop/gen/openapi.json")) : undefined),
  port: (config) => config.GATEWAY_PORT,
  upstreams: (config) => locate(config, ...allServices),
});
