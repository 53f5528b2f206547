import { run } from "@shop/platform";
import { users } from "./service.ts";

await run([users]);
