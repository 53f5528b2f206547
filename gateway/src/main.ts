import { run } from "@shop/platform";
import { gateway } from "./gateway.ts";

await run([gateway]);
