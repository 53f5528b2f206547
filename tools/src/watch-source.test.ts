import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "./testing/temporary-folder.ts";
import { waitUntil } from "./wait.ts";
import { watchSource } from "./watch-source.ts";

test("every save is detected: in place, by rename, repeatedly, of new files, in new folders, and a removal", async () => {
  const folder = temporaryFolder();
  const file = join(folder, "service.ts");
  writeFileSync(file, "export const version = 0;\n");
  writeFileSync(join(folder, "notes.md"), "0\n");
  let noticed = 0;
  onTestFinished(await watchSource([folder], () => noticed++));

  const save = (path: string, text: string) => writeFileSync(path, text);
  const replace = (path: string, text: string) => {
    writeFileSync(`${path}~`, text);
    renameSync(`${path}~`, path);
  };
  const saves: (() => void)[] = [
    () => replace(file, "export const version = 1;\n"),
    () => replace(file, "export const version = 2;\n"),
    () => save(file, "export const version = 3;\n"),
    () => replace(file, "export const version = 4;\n"),
    () => save(join(folder, "other.ts"), "export {};\n"),
    () => mkdirSync(join(folder, "deep/deeper"), { recursive: true }),
    () => save(join(folder, "deep/deeper/new.ts"), "export {};\n"),
    () => replace(join(folder, "deep/deeper/new.ts"), "export const it = 1;\n"),
    () => rmSync(join(folder, "other.ts")),
  ];
  let expected = 0;
  for (const [index, change] of saves.entries()) {
    change();
    // An empty folder is not a source.
    if (index === 5) continue;
    expected++;
    await waitUntil(() => noticed >= expected, { what: `change ${index} is noticed`, timeoutMs: 5_000 });
    expect(noticed).toBe(expected);
    // File times have the resolution of a clock tick.
    await sleep(20);
  }

  save(join(folder, "notes.md"), "1\n");
  save(join(folder, "a.test.ts"), "1\n");
  save(file, "export const version = 5;\n");
  await waitUntil(() => noticed > expected, { what: "the next save is noticed", timeoutMs: 5_000 });
  expect(noticed).toBe(expected + 1);
}, 30_000);
