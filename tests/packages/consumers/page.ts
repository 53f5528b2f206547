import { callShop } from "./call-shop.ts";

declare const shopUrl: string;

console.log(await callShop(shopUrl));
