import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { createShop, type Shop } from "@shop/client";

// The beginning of a page's own script: page.e2e.test.ts runs it in a browser.

declare global {
  var openShop: (protocol: "Connect" | "gRPC-Web", baseUrl: string) => Shop;
  /** The page's. */
  var shop: Shop;
}

globalThis.openShop = (protocol, baseUrl) => {
  if (protocol === "Connect") return createShop({ baseUrl, refreshToken: "cookie" });
  const transport = createGrpcWebTransport({
    baseUrl,
    fetch: (url, init) => fetch(url, { ...init, credentials: "include" }),
  });
  return createShop({ transport, refreshToken: "cookie" });
};
