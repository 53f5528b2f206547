import { run } from "@shop/platform";
import { orders } from "./service.ts";

await run([orders]);
