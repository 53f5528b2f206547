import { runProcess } from "@shop/runtime";
import { startForwarder } from "./forwarder.ts";

await runProcess(startForwarder);
