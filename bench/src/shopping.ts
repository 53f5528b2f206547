import { admin } from "./shop.ts";

const json = { "content-type": "application/json" };
const atOnce = 8;
const stockOfEach = 1_000_000;
const pageSize = 100;

export interface Product {
  readonly product_id: string;
  readonly stock: number;
}

export interface Order {
  readonly order_id: string;
  readonly status: string;
  readonly items: readonly { readonly quantity: number }[];
  readonly create_time: string;
  readonly update_time: string;
}

export interface Account {
  readonly username: string;
  readonly password: string;
}

/** The bench's own calls of the public port besides the load: over REST, one at a time. */
export class Shopping {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async signInAdmin(): Promise<string> {
    return await this.#signIn(admin);
  }

  /** Registers a new shopper; returns the access token, which is valid for ten minutes. */
  async newShopper(): Promise<string> {
    return await this.#signIn(await this.#newAccount());
  }

  async newAccounts(count: number): Promise<Account[]> {
    const accounts: Account[] = [];
    while (accounts.length < count) accounts.push(await this.#newAccount());
    return accounts;
  }

  /** Adds products with plenty of stock. */
  async addProducts(count: number): Promise<string[]> {
    const token = await this.signInAdmin();
    const ids: string[] = [];
    let added = 0;
    const addNext = async () => {
      while (added < count) {
        const product = {
          name: `Bench ${++added}`,
          category: "Bench",
          description: "Made to be bought very often.",
          price: { currency_code: "EUR", minor_units: "1290" },
          stock: stockOfEach,
        };
        ids.push((await this.call<Product>("POST", "/products", product, token)).product_id);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, addNext));
    return ids;
  }

  async stockOf(productIds: readonly string[]): Promise<number> {
    let sum = 0;
    for (const id of productIds) sum += (await this.call<Product>("GET", `/products/${id}`)).stock;
    return sum;
  }

  /** All orders of the token's account. */
  async orders(token: string): Promise<Order[]> {
    const orders: Order[] = [];
    let from = "";
    do {
      const path = `/orders?page_size=${pageSize}&page_token=${from}`;
      const page = await this.call<{ orders: Order[]; next_page_token: string }>("GET", path, undefined, token);
      orders.push(...page.orders);
      from = page.next_page_token;
    } while (from !== "");
    return orders;
  }

  /** Whether the token's account has an order with this status. */
  async hasOrders(token: string, status: string): Promise<boolean> {
    const path = `/orders?page_size=1&status=${status}`;
    return (await this.call<{ orders: Order[] }>("GET", path, undefined, token)).orders.length > 0;
  }

  /** Throws when the answer is not 200. */
  async call<Answer>(method: "GET" | "POST", path: string, body?: unknown, token?: string): Promise<Answer> {
    const response = await fetch(this.#url + path, {
      method,
      headers: { ...json, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as Answer;
  }

  async #newAccount(): Promise<Account> {
    const account = { username: `bench-${crypto.randomUUID().slice(0, 13)}`, password: "bench-bench-bench" };
    await this.call("POST", "/register", account);
    return account;
  }

  async #signIn(account: Account): Promise<string> {
    return (await this.call<{ access_token: string }>("POST", "/authenticate", account)).access_token;
  }
}
