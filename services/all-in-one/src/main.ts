import { run } from "@shop/runtime";
import { processNames } from "@shop/topology";
import * as hosted from "./service.ts";

const modules = { ...hosted };
await run(processNames.map((name) => modules[name]));
