// `npm start` with the fake service instead of the shop's.
import { callApart } from "../call-apart.ts";
import type { readSettings } from "../settings.ts";
import { supervise } from "../supervisor.ts";
import { terminal } from "../terminal.ts";

const { env } = process;
const read = await callApart<typeof readSettings>({ file: "settings.ts", name: "readSettings" }, [
  process.argv.slice(2),
  { ...env },
]);
// A copy of it that is about to be edited.
const copy = env.FAKE_SOURCES;
const settings = { ...read, sources: copy === undefined ? [] : [copy] };
const script = copy === undefined ? "tools/src/testing/fake-service.ts" : `${copy}/service.ts`;
process.exitCode = await supervise(
  settings,
  [{ name: "all-in-one", script, ports: Object.values(settings.ports) }],
  terminal(),
);
