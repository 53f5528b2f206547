import { runProcess } from "@shop/platform";
import { startForwarder } from "./forwarder.ts";

await runProcess(startForwarder);
