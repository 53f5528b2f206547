import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test, vi } from "vitest";

vi.setConfig({ testTimeout: 30_000 });

const run = (file: string, args: readonly string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, file), ...args], { encoding: "utf8", timeout: 20_000 });

test.each([
  ["admin-command.ts", ["reset-password", "--help"], "npm run admin -- reset-password [username]"],
  ["import.ts", ["--help"], "npm run import -- [--dry-run]"],
] as const)("%s with %j prints its usage, and does nothing else", (file, args, usage) => {
  const { status, stdout, stderr } = run(file, args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/^.*\n$/);
  expect(stdout).toContain(usage);
});

test("a flag is not treated as the name of an account", () => {
  expect(run("admin-command.ts", ["reset-password", "--force"])).toMatchObject({
    status: 2,
    stdout: "",
    stderr: expect.stringContaining("npm run admin -- reset-password [username]"),
  });
});
