import { MongoClient } from "mongodb";
import { z } from "zod";
import { natsServers } from "./bus/nats-servers.ts";
import { setting } from "./config.ts";

/** The environment that every process reads, whatever it hosts. */
export const platformConfig = z.object({
  WORKERS: setting.workers(),
  MONGODB_URI: z
    .string()
    .refine(isMongoUri, "is not a connection string such as mongodb://host:27017/?replicaSet=rs0")
    .default("mongodb://127.0.0.1:27017/?replicaSet=rs0")
    .describe("connection string of a replica set"),
  REDIS_URL: z
    .string()
    .refine(isRedisUrl, "is neither of the form redis://user:password@host:port nor unix://user:password@/path")
    .default("redis://127.0.0.1:6379")
    .describe("redis:// URL, or unix:// with the path of a socket"),
  NATS_URL: z
    .string()
    .refine(areNatsUrls, "is not a list of nats://user:password@host:port")
    .default("nats://127.0.0.1:4222")
    .describe("nats:// URLs, comma-separated"),
  CACHE_MEMORY_MIB: setting.integer(64, 1, 16_384, "MiB of memory for answers that this process keeps"),
  BUFFERED_MIB: setting.integer(
    64,
    0,
    65_536,
    "MiB that unfinished requests and unread answers may hold in this process; 0 for no limit",
  ),
  NATS_REPLICAS: setting.integer(1, 1, 5, "copies of each stream: 1 to 5, at most as many as NATS servers"),
  TAKEOVER_SECONDS: setting.integer(
    5,
    1,
    300,
    "seconds until what a dead process had in hand, its events and its leases, comes to another",
  ),
  LISTEN_HOST: setting.host("127.0.0.1", "address to listen on"),
  LOG_LEVEL: setting.logLevel(),
  REFLECTION: setting.flag(true).describe("whether the ports answer gRPC reflection: true or false"),
  LEAN_CALLS: setting
    .flag(true)
    .describe("whether usual unary calls take the short way past Connect's own handlers: true or false"),
  METRICS_PORT: setting.optionalPort("TCP port of /metrics; none without it"),
  METRICS_HOST: setting.host("127.0.0.1", "address to listen on for /metrics"),
  SERVICE_KEY_FILES: z
    .string()
    .transform((list) => list.split(",").map((path) => path.trim()))
    .optional()
    .describe("paths of the private keys of the services in this process, comma-separated; random keys without it"),
  PUBLIC_KEYS_FILE: z.string().optional().describe("path of the public keys of all services"),
});
export type PlatformConfig = z.output<typeof platformConfig>;

/** As the driver reads it: it connects to nothing before it is asked to. */
function isMongoUri(text: string): boolean {
  try {
    new MongoClient(text);
    return true;
  } catch {
    return false;
  }
}

function isRedisUrl(text: string): boolean {
  if (/^unix:\/\/([^:@/]*:[^@/]*@)?\/./.test(text)) return true;
  return /^rediss?:\/\/[^/]/.test(text) && URL.canParse(text);
}

function areNatsUrls(text: string): boolean {
  try {
    return natsServers(text).servers !== undefined && !/(^|,)\s*(?!nats:)[a-z]+:\/\//.test(text);
  } catch {
    return false;
  }
}
