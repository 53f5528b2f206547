import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";

/** Logs at once, and again when its input ends; then it exits. */
const program = `
  import { createLogger } from ${JSON.stringify(new URL("./log.ts", import.meta.url).href)};
  const log = createLogger("info");
  log.info("first");
  process.stderr.write("ready");
  process.stdin.resume().once("end", () => {
    for (let line = 0; line < 10_000; line++) log.info("nobody reads");
    process.exit(7);
  });
`;

// A reader that leaves something unread is told by another error than one that has read all.
test.each([
  ["has read all and gone", { reads: true, goes: true }],
  ["has read nothing and gone", { reads: false, goes: true }],
  ["has stalled", { reads: false, goes: false }],
])("a process can log and exit though its reader %s", async (_, { reads, goes }) => {
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
