export { reasonOf } from "./errors.ts";
export type { Session, SignedIn } from "./session.ts";
export { createShop, type Shop, type ShopOptions } from "./shop.ts";
export type { OrderTransition, WatchOptions } from "./watch.ts";
