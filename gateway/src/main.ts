import { run } from "@shop/runtime";
import { gateway } from "./gateway.ts";

await run([gateway]);
