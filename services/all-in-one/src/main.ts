import { gateway } from "@shop/gateway";
import { inventory } from "@shop/inventory";
import { orders } from "@shop/orders";
import { run } from "@shop/runtime";
import { users } from "@shop/users";

await run([users, inventory, orders, gateway]);
