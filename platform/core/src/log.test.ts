import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";

/** Logs at once, and again when its input ends; then exits. */
const program = `
  import { createLogger } from ${JSON.stringify(new URL("./log.ts", import.meta.url).href)};
  const log = createLogger("info");
  log.info("first");
  process.stderr.write("ready");
  process.stdin.resume().once("end", () => {
    for (let line = 0; line < 10_000; line++) log.info("unread");
    process.exit(7);
  });
`;

// Closing a pipe with unread data causes a different error than closing an empty one.
test.each([
  ["has read everything and gone away", { reads: true, goes: true }],
  ["has read nothing and gone away", { reads: false, goes: true }],
  ["has stalled", { reads: false, goes: false }],
])("a process can log and exit although its reader %s", async (_, { reads, goes }) => {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    timeout: 4_000,
    killSignal: "SIGKILL",
  });
  const exited = once(child, "exit");
  await Promise.all([once(child.stderr, "data"), reads && once(child.stdout, "data")]);
  if (goes) child.stdout.destroy();
  child.stdin.end();
  expect(await exited).toEqual([7, null]);
});
