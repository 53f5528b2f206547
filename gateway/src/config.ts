import { setting } from "@shop/core";
import { defaultPorts, serviceNames } from "@shop/topology";
import { urlSettings } from "@shop/topology/settings";
import { z } from "zod";

/** The environment of the gateway. */
export const gatewayConfig = z.object({
  GATEWAY_PORT: setting.port(defaultPorts.GATEWAY_PORT).meta({ meaning: "The public port." }),
  CORS_ORIGINS: setting.origins().meta({
    meaning:
      "The web pages that may call from a browser, as browsers send their origin (`https://shop.example`, without a path); `*` for " +
      "every page. None by default.",
  }),
  TRUSTED_PROXIES: setting.trustedProxies().meta({
    meaning:
      "The proxies in front of the gateway whose `X-Forwarded-For` and `X-Forwarded-Proto` count: how many in a row, or their networks. " +
      "None by default: the client is the peer of the connection.",
  }),
  CONNECTIONS_AT_ONCE: setting.integer(10_000, 0, 1_000_000, "connections").meta({
    meaning: "Open connections of a process. One more is closed before anything on it is read; 0 means no limit.",
  }),
  CONNECTIONS_PER_ADDRESS: setting.integer(1_000, 0, 1_000_000, "connections").meta({
    meaning:
      "Open connections of a process from one address (a /64 of IPv6); 0 means no limit. The addresses of trusted proxies have no limit, " +
      "and where `TRUSTED_PROXIES` is a number every connection counts as a proxy's.",
  }),
  API_DOCS: setting.flag(true).meta({
    meaning: "Whether the public port serves `/openapi.json`, and `/docs` to read and try the API.",
  }),
  ...urlSettings(...serviceNames),
});
