import { run } from "@shop/runtime";
import { orders } from "./service.ts";

await run([orders]);
