import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import {
  type CreateProductRequestSchema,
  InventoryService,
  type Product,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { type Order, OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { inject } from "vitest";
import { unique } from "../contract.ts";
import { password } from "../setup/shop.ts";
import { eventually } from "./eventually.ts";

export const shop = inject("shop");
export { password, unique };

/** A caller of the public port with generated clients. */
export interface Visitor {
  readonly users: Client<typeof UserService>;
  readonly inventory: Client<typeof InventoryService>;
  readonly orders: Client<typeof OrderService>;
}

/** A signed-in visitor. */
export interface Account extends Visitor {
  readonly userId: string;
  readonly username: string;
  /** For requests that are written by hand. */
  readonly headers: { readonly authorization: string };
}

function visit(headers: Readonly<Record<string, string>>): Visitor {
  const withHeaders: Interceptor = (next) => async (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return await next(request);
  };
  const transport = createConnectTransport({
    baseUrl: shop.url,
    interceptors: [withHeaders],
    defaultTimeoutMs: 20_000,
  });
  return {
    users: createClient(UserService, transport),
    inventory: createClient(InventoryService, transport),
    orders: createClient(OrderService, transport),
  };
}

/** A visitor without an account. */
export const anonymous = visit({});

export async function signIn(username: string, secret = password): Promise<Account> {
  const { userId, accessToken } = await anonymous.users.authenticate({ username, password: secret });
  const headers = { authorization: `Bearer ${accessToken}` };
  return { ...visit(headers), userId, username, headers };
}

/** Registers a new customer and signs them in. */
export async function signUp(): Promise<Account> {
  const username = unique("shopper");
  await anonymous.users.register({ username, password });
  return await signIn(username);
}

/** Registers many customers, a few at a time, since the shop limits concurrent password hashes. */
export async function signUpMany(count: number): Promise<Account[]> {
  const accounts: Account[] = [];
  while (accounts.length < count) {
    const some = Math.min(8, count - accounts.length);
    accounts.push(...(await Promise.all(Array.from({ length: some }, signUp))));
  }
  return accounts;
}

export async function signInAdmin(): Promise<Account> {
  return await signIn(shop.admin.username, shop.admin.password);
}

type NewProduct = NonNullable<MessageInitShape<typeof CreateProductRequestSchema>["product"]>;

/** Adds a product of its own to the catalogue. */
export async function addProduct(admin: Account, details: Partial<NewProduct> = {}): Promise<Product> {
  const { product } = await admin.inventory.createProduct({
    product: {
      name: unique("Teapot"),
      category: unique("Kitchen"),
      price: { currencyCode: "EUR", minorUnits: 1250n },
      stock: 10,
      ...details,
    } as NewProduct,
  });
  return product!;
}

/** An order's lines by product id and quantity. */
export async function placeOrder(buyer: Account, ...lines: readonly (readonly [Product, number])[]): Promise<Order> {
  const { order } = await buyer.orders.createOrder({
    items: lines.map(([{ productId }, quantity]) => ({ productId, quantity })),
  });
  return order!;
}

/** Waits until an order is decided, and reads it. */
export async function decided(buyer: Account, { orderId }: Pick<Order, "orderId">, timeoutMs = 10_000): Promise<Order> {
  return await eventually(
    async () => {
      const { order } = await buyer.orders.getOrderByID({ orderId });
      if (order!.status === OrderStatus.PENDING) throw new Error(`${orderId} is still pending`);
      return order!;
    },
    { timeoutMs },
  );
}

/** "CONFIRMED" and so on, for titles and tallies. */
export function statusName(status: OrderStatus): string {
  return Object.entries(OrderStatus).find(([, value]) => value === status)![0];
}

/** The available units of a product, from the public catalogue. */
export async function stockOf({ productId }: Product): Promise<number> {
  const { product } = await anonymous.inventory.getProductByID({ productId });
  return product!.stock;
}
