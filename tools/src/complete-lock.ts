import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "./repository-root.ts";

/**
 * Adds to package-lock.json the optional packages for other platforms that npm omitted because the registry in use does
 * not serve them; `npm ci` refuses a lock without them on every platform. Run it after a change of dependencies:
 * `node tools/src/complete-lock.ts`.
 */

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const systems: Readonly<Record<string, string>> = {
  android: "android",
  darwin: "darwin",
  freebsd: "freebsd",
  linux: "linux",
  openharmony: "openharmony",
  win: "win32",
  win32: "win32",
  windows: "win32",
};
const processors: Readonly<Record<string, string>> = {
  "64": "x64",
  arm: "arm",
  arm64: "arm64",
  armv7: "arm",
  ia32: "ia32",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
  x64: "x64",
};

const file = join(repositoryRoot, "package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, LockedPackage> };
const added: string[] = [];
for (const [path, { dev, optionalDependencies = {} }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (`node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages) continue;
    lock.packages[`node_modules/${name}`] = entryOf(name, version, dev ?? false);
    added.push(name);
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length === 0 ? "nothing was missing" : `added ${added.join(", ")}`);

/** Platform and architecture from a package's name: npm needs them to skip the package on other platforms. */
function entryOf(name: string, version: string, dev: boolean): LockedPackage {
  const words = (name.split("/").at(-1) ?? "").split("-");
  const os = words.map((word) => systems[word]).find((known) => known !== undefined);
  const cpu = words.map((word) => processors[word]).find((known) => known !== undefined);
  const libc = words.some((word) => word.startsWith("musl"))
    ? "musl"
    : words.some((word) => word.startsWith("gnu"))
      ? "glibc"
      : undefined;
  return {
    version: version.replace(/^[~^]/, ""),
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(dev ? { dev } : {}),
    ...(libc === undefined || os !== "linux" ? {} : { libc: [libc] }),
    optional: true,
    ...(os === undefined ? {} : { os: [os] }),
  } as LockedPackage;
}
