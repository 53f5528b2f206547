/** The variables that a server needs: for its executable, its libraries, temporary files and the locale. */
const needed = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/** The environment of MongoDB, Redis and NATS: no secret, since they read theirs from files. */
export function serverEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(needed.filter((name) => env[name] !== undefined).map((name) => [name, env[name]]));
}
