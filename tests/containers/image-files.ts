import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import type { Engine } from "./engine.ts";

/** What an image adds to another one. */
export interface AddedLayers {
  /** Uncompressed. */
  readonly bytes: number;
  /** The SHA-256 of each file, or the target of a link, by path. */
  readonly files: ReadonlyMap<string, string>;
  /** The content of a file. */
  read(path: string): string;
  remove(): Promise<void>;
}

/** Reads the layers of an image that its base image does not have. */
export async function addedLayers({ docker }: Engine, image: string, base: string): Promise<AddedLayers> {
  const inspect = async <Value>(name: string, format: string): Promise<Value> =>
    JSON.parse(await docker(["image", "inspect", "--format", format, name]));
  const baseLayers = await inspect<string[]>(base, "{{json .RootFS.Layers}}");
  const bytes = (await inspect<number>(image, "{{json .Size}}")) - (await inspect<number>(base, "{{json .Size}}"));

  const folder = await mkdtemp(join(tmpdir(), "shop-image-"));
  const tar = async (file: string, into: string) =>
    void (await promisify(execFile)("tar", ["--extract", "--file", file, "--directory", into]));
  const [saved, root] = [join(folder, "saved"), join(folder, "root")];
  for (const name of [saved, root]) await mkdir(name);
  await docker(["save", "--output", join(folder, "image.tar"), image], { timeoutMs: 120_000 });
  await tar(join(folder, "image.tar"), saved);
  const [manifest] = JSON.parse(readFileSync(join(saved, "manifest.json"), "utf8")) as [{ Layers: string[] }];
  for (const layer of manifest.Layers.slice(baseLayers.length)) await tar(join(saved, layer), root);
  await rm(saved, { recursive: true });

  const files = new Map<string, string>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) files.set(relative(root, path), `-> ${await readlink(path)}`);
    if (!entry.isFile()) continue;
    const hash = createHash("sha256");
    await pipeline(createReadStream(path), hash);
    files.set(relative(root, path), hash.digest("hex"));
  }
  return {
    bytes,
    files,
    read: (path) => readFileSync(join(root, path), "utf8"),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
