import { run } from "@shop/platform";
import { inventory } from "./service.ts";

await run([inventory]);
