import { setting } from "@shop/core";
import { defaultPorts, serviceNames } from "@shop/topology";
import { urlSettings } from "@shop/topology/settings";
import { z } from "zod";

/** The settings of the gateway. */
export const gatewayConfig = z.object({
  GATEWAY_PORT: setting.port(defaultPorts.GATEWAY_PORT).meta({ meaning: "The public port." }),
  CORS_ORIGINS: setting.origins().meta({
    meaning:
      "The web pages that may call from a browser, as browsers send their origin (`https://shop.example`, without a path); `*` for " +
      "every page. None by default.",
  }),
  TRUSTED_PROXIES: setting.trustedProxies().meta({
    meaning:
      "The proxies in front of the gateway whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted: their number, or their networks. " +
      "None by default: the client is the peer of the connection.",
  }),
  CONTINUE_CALLER_TRACES: setting.flag(false).meta({
    meaning:
      "Whether callers of the public port choose the trace of a call, and whether it is sampled, by `traceparent` and `tracestate`. For " +
      "shops whose callers are all trusted. Otherwise a call begins a new trace that is linked to the caller's.",
  }),
  CONNECTIONS_AT_ONCE: setting.integer(10_000, 0, 1_000_000, "connections").meta({
    meaning:
      "The most open connections of a process. Further ones are closed before anything on them is read; 0 means no limit.",
  }),
  CONNECTIONS_PER_ADDRESS: setting.integer(1_000, 0, 1_000_000, "connections").meta({
    meaning:
      "The most open connections of a process from one address (a /64 of IPv6); 0 means no limit. Trusted proxies have no limit, " +
      "and if `TRUSTED_PROXIES` is a number every connection counts as a proxy's.",
  }),
  API_DOCS: setting.flag(true).meta({
    meaning: "Whether the public port serves `/openapi.json`, and `/docs` to read and try the API.",
  }),
  ...urlSettings(...serviceNames),
});
