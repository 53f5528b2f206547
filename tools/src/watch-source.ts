import { existsSync, watch } from "node:fs";
import { join } from "node:path";

const quietMs = 250;

/**
 * Calls `changed` once the sources in these folders were written to and then left alone for a quarter of a second.
 * @returns what ends the watching
 */
export function watchSource(folders: readonly string[], changed: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const watchers = folders.filter(existsSync).map((folder) =>
    watch(folder, { recursive: true }, (_event, file) => {
      if (file === null || !isSource(join(folder, file))) return;
      clearTimeout(timer);
      timer = setTimeout(changed, quietMs);
    }),
  );
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}

function isSource(path: string): boolean {
  return /\.(ts|json)$/.test(path) && !/\.test\.ts$/.test(path) && !path.includes("node_modules");
}
