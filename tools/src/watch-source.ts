import { existsSync } from "node:fs";
import { watch } from "chokidar";

const quietMs = 250;

/**
 * Calls `changed` once the sources in these folders were written, replaced or removed, and then unchanged for a quarter of a
 * second. Resolves when they are watched.
 * @returns a function that ends the watching
 */
export async function watchSource(folders: readonly string[], changed: () => void): Promise<() => Promise<void>> {
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(folders.filter(existsSync), {
    ignoreInitial: true,
    ignored: (path, stats) =>
      /[\\/](node_modules|\.turbo)$/.test(path) || (stats?.isFile() === true && !isSource(path)),
  });
  watcher.on("all", (_event, path) => {
    if (!isSource(path)) return;
    clearTimeout(timer);
    timer = setTimeout(changed, quietMs);
  });
  await new Promise<void>((resolve) => watcher.once("ready", resolve));
  return async () => {
    clearTimeout(timer);
    await watcher.close();
  };
}

function isSource(path: string): boolean {
  return /\.(ts|js|json|html)$/.test(path) && !/\.test\.ts$/.test(path);
}
