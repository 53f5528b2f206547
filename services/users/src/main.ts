import { run } from "@shop/runtime";
import { users } from "./service.ts";

await run([users]);
