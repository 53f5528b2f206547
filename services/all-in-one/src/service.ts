export { gateway } from "@shop/gateway";
export { inventory } from "@shop/inventory";
export { orders } from "@shop/orders";
export { users } from "@shop/users";
