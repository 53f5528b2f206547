/** What a server of its own needs of the environment: to be found, to find its libraries, and to write in one's language. */
const needed = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/** The environment of MongoDB, Redis and NATS: no secret, since they read theirs from files. */
export function serverEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(needed.filter((name) => env[name] !== undefined).map((name) => [name, env[name]]));
}
