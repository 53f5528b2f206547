import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import type { Stock } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { type CallRules, defaultCallRules, withCallRules } from "./calls.ts";
import { services } from "./services.ts";
import { createSession, type Session } from "./session.ts";
import { type OrderTransition, type WatchOptions, watchOrder, watchStock } from "./watch.ts";

export type ShopOptions = Partial<CallRules> & {
  /**
   * Where the refresh token is kept. "memory", the default: until the page or process ends. "cookie": in a cookie that scripts can't read;
   * a custom transport has to send credentials then (docs/decisions/0019-refresh-token-cookie.md).
   */
  readonly refreshToken?: "memory" | "cookie";
} & (
    | {
        /** The shop's URL, for the Connect protocol. */
        readonly baseUrl: string;
        /**
         * Reads by GET, which browsers and proxies can cache: for pages that may show data that are a few seconds old, even after a
         * write of their own.
         */
        readonly useHttpGet?: boolean;
      }
    | { /** Any transport of Connect-ES: Connect, gRPC-Web or gRPC. */ readonly transport: Transport }
  );

type Clients = { readonly [Name in keyof typeof services]: Client<(typeof services)[Name]> };

/** Typed clients of the shop's services, which call as the signed-in user. */
export interface Shop extends Clients {
  readonly session: Session;
  /**
   * Yields an order's transitions up to a final status, over any number of connections, without gap or repetition. Throws errors that a new
   * connection would not solve, and the last error when the shop was unreachable for five minutes.
   */
  watchOrder(orderId: string, options?: WatchOptions): AsyncGenerator<OrderTransition, void>;
  /** Yields a product's stock after each movement, like `watchOrder`, but has no end. */
  watchStock(productId: string, options?: WatchOptions): AsyncGenerator<Stock, void>;
}

/** Creates the clients. Makes no call. */
export function createShop(options: ShopOptions): Shop {
  const keepsCookie = options.refreshToken === "cookie";
  const rules: CallRules = { ...defaultCallRules, ...options };
  const transport = "transport" in options ? options.transport : connectTransport(options, keepsCookie);
  const { session, caller } = createSession(
    createClient(services.users, withCallRules(transport, undefined, rules)),
    keepsCookie,
  );
  const asCaller = withCallRules(transport, caller, rules);
  const clients = Object.fromEntries(
    Object.entries<DescService>(services).map(([name, service]) => [name, createClient(service, asCaller)]),
  ) as unknown as Clients;
  return {
    ...clients,
    session,
    watchOrder: (orderId, watchOptions = {}) => watchOrder(clients.orders, orderId, watchOptions),
    watchStock: (productId, watchOptions = {}) => watchStock(clients.inventory, productId, watchOptions),
  };
}

function connectTransport(
  { baseUrl, useHttpGet = false }: { readonly baseUrl: string; readonly useHttpGet?: boolean },
  sendsCookies: boolean,
): Transport {
  if (!sendsCookies) return createConnectTransport({ baseUrl, useHttpGet });
  return createConnectTransport({
    baseUrl,
    useHttpGet,
    fetch: (url, init) => fetch(url, { ...init, credentials: "include" }),
  });
}
