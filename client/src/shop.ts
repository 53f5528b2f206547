import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { InventoryService, type Stock } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { type CallRules, defaultCallRules, withCallRules } from "./calls.ts";
import { createSession, type Session } from "./session.ts";
import { type OrderMove, type WatchOptions, watchOrder, watchStock } from "./watch.ts";

/** The address of the shop, or a transport that leads there. */
export type ShopOptions = Partial<CallRules> & {
  /**
   * Where the refresh token is. "memory": it goes with the page or the process. "cookie": in the browser's, out of reach of
   * scripts; a transport of one's own has to send credentials (docs/decisions/0019-refresh-token-cookie.md).
   */
  readonly refreshToken?: "memory" | "cookie";
} & (
    | {
        /** The shop's address; it is spoken to in Connect. */
        readonly baseUrl: string;
        /**
         * Reads by GET, which browsers and proxies can answer from what they keep: for pages that may show what was there a few
         * seconds ago, also after a write of their own.
         */
        readonly useHttpGet?: boolean;
      }
    | { /** Any transport of Connect-ES: Connect, gRPC-Web or gRPC. */ readonly transport: Transport }
  );

/** A shop to call, as who is signed in. */
export interface Shop {
  readonly session: Session;
  readonly users: Client<typeof UserService>;
  readonly inventory: Client<typeof InventoryService>;
  readonly orders: Client<typeof OrderService>;
  /**
   * Tells an order's moves until no other can follow, over any number of connections, without gap or repetition. Throws what
   * another connection would not help against, and what it last ran into when the shop is out of reach for five minutes.
   */
  watchOrder(orderId: string, options?: WatchOptions): AsyncGenerator<OrderMove, void>;
  /** Tells a product's stock after each movement, as `watchOrder` does; it has no end of its own. */
  watchStock(productId: string, options?: WatchOptions): AsyncGenerator<Stock, void>;
}

/** Makes no call yet. */
export function createShop(options: ShopOptions): Shop {
  const keepsCookie = options.refreshToken === "cookie";
  const rules: CallRules = { ...defaultCallRules, ...options };
  const transport = "transport" in options ? options.transport : connectTransport(options, keepsCookie);
  const { session, caller } = createSession(
    createClient(UserService, withCallRules(transport, undefined, rules)),
    keepsCookie,
  );
  const asCaller = withCallRules(transport, caller, rules);
  const orders = createClient(OrderService, asCaller);
  const inventory = createClient(InventoryService, asCaller);
  return {
    session,
    users: createClient(UserService, asCaller),
    inventory,
    orders,
    watchOrder: (orderId, watchOptions = {}) => watchOrder(orders, orderId, watchOptions),
    watchStock: (productId, watchOptions = {}) => watchStock(inventory, productId, watchOptions),
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
