import { run } from "@shop/runtime";
import { inventory } from "./service.ts";

await run([inventory]);
