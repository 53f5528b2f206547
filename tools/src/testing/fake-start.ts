// `npm start` with the fake service in place of the shop's.
import { readSettings } from "../settings.ts";
import { supervise } from "../supervisor.ts";
import { terminal } from "../terminal.ts";

const settings = readSettings(process.argv.slice(2), process.env);
const ports = Object.values(settings.ports);
const service = { name: "all-in-one", script: "tools/src/testing/fake-service.ts", ports };
process.exitCode = await supervise(settings, [service], terminal());
