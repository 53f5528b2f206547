import { setting } from "@shop/core";
import { z } from "zod";

/** The settings that every process reads, whatever it hosts. */
export const platformConfig = z.object({
  WORKERS: setting.workers().meta({
    meaning:
      "Worker processes that share the ports of a process and use more cores; `auto` starts one per core. Each worker is a replica: " +
      "what is stated per process holds for each of them.",
  }),
  MONGODB_URI: z
    .string()
    .refine(isMongoUri, "is not a connection string such as mongodb://host:27017/?replicaSet=rs0")
    .default("mongodb://127.0.0.1:27017/?replicaSet=rs0")
    .describe("connection string of a replica set")
    .meta({
      meaning: "MongoDB. Without it `npm start` starts a replica set of one server with generated credentials.",
    }),
  REDIS_URL: z
    .string()
    .refine(isRedisUrl, "is neither of the form redis://user:password@host:port nor unix://user:password@/path")
    .default("redis://127.0.0.1:6379")
    .describe("redis:// URL, or unix:// with the path of a socket")
    .meta({ meaning: "Redis. Without it `npm start` starts a server with generated credentials." }),
  NATS_URL: z
    .string()
    .refine(areNatsUrls, "is not a list of nats://user:password@host:port")
    .default("nats://127.0.0.1:4222")
    .describe("nats:// URLs, comma-separated")
    .meta({ meaning: "NATS with JetStream. Without it `npm start` starts a server with generated credentials." }),
  CACHE_MEMORY_MIB: setting.integer(64, 1, 16_384, "MiB").meta({
    meaning: "Memory of a process for cached answers, in front of the cache in Redis that all processes share.",
  }),
  BUFFERED_MIB: setting.integer(64, 0, 65_536, "MiB").meta({
    meaning:
      "Memory of a process for request bodies that have not ended and answers that the client has not read. One connection gets at " +
      "most an eighth of it, one address a quarter, and a /24 or /48 half. More is refused with BUFFERS_FULL, or the connection is " +
      "closed. Less than 16 leaves little for each client; 0 means no limit.",
  }),
  NATS_REPLICAS: setting.integer(1, 1, 5, "copies").meta({
    meaning: "Copies of each JetStream stream, at most as many as there are NATS servers.",
  }),
  TAKEOVER_SECONDS: setting.integer(5, 1, 300, "seconds").meta({
    meaning: "Lease TTL and ack wait: after that time another process takes over the jobs and events of one that died.",
  }),
  DRAIN_SECONDS: setting.integer(0, 0, 300, "seconds").meta({
    meaning:
      "How long a process that was told to stop still serves, while its `/readyz` is 503, before it closes its ports: longer than load " +
      "balancers and gateways take to notice. With replicas at least 2, as in compose.yaml; 0 closes at once.",
  }),
  LISTEN_HOST: setting.host("127.0.0.1").meta({
    meaning: "The address that the ports listen on; `0.0.0.0` or `::` for every address of the machine.",
  }),
  LOG_LEVEL: setting.logLevel().meta({
    meaning: "The lowest level that is logged. With `debug`, `npm start` shows everything in the terminal.",
  }),
  REFLECTION: setting.flag(true).meta({
    meaning: "Whether the ports answer gRPC server reflection. The public port describes public methods only.",
  }),
  FAST_PATH: setting.flag(true).meta({
    formerName: "LEAN_CALLS",
    meaning:
      "Whether ordinary unary calls take the fast path instead of Connect's handlers. The answers are the same. The former name " +
      "`LEAN_CALLS` still works.",
  }),
  METRICS_PORT: setting.optionalPort().meta({
    meaning:
      "The port of `/metrics`, for Prometheus; none without it. `npm start -- --split` counts from it: each process has a port of its " +
      "own, as docs/configuration.md lists them.",
  }),
  METRICS_HOST: setting.host("127.0.0.1").meta({
    meaning: "The address that `/metrics` listens on. Metrics are not for the public.",
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .string()
    .refine(isHttpUrl, "is not of the form http://host:port")
    .optional()
    .describe("URL")
    .meta({
      meaning:
        "The receiver of traces by OTLP over HTTP, in JSON, such as `http://collector:4318`; nothing is recorded without it. The other " +
        "`OTEL_EXPORTER_OTLP_*` variables of OpenTelemetry (headers, timeout, compression, certificates) apply, too.",
    }),
  OTEL_TRACES_SAMPLER: z
    .enum(["parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"], {
      error: ({ input }) => `"${input}" is not one of the samplers that follow the decision of the caller`,
    })
    .default("parentbased_always_on")
    .describe("parentbased_always_on, parentbased_always_off or parentbased_traceidratio")
    .meta({
      meaning:
        "Which of the traces that begin in a process are sampled. The decision is made once, at the public port, and followed everywhere.",
    }),
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .refine((text) => /^(0(\.\d+)?|1(\.0+)?)$/.test(text), {
      error: ({ input }) => `"${input}" is not a number from 0 to 1`,
    })
    .transform(Number)
    .prefault("1")
    .describe("share, 0 to 1")
    .meta({ meaning: "The share of traces that `parentbased_traceidratio` samples." }),
  OTEL_SERVICE_NAME: setting.optionalText().describe("name").meta({
    meaning: "The name of the process in traces; by default that of its module, or `all-in-one`.",
  }),
  TRACES_REQUESTED_PER_MINUTE: setting.integer(60, 0, 1_000_000, "traces").meta({
    meaning:
      "The most calls per minute, in a process with a public port, that are sampled in addition because their `traceparent` has the " +
      "sampled flag. 0 ignores the flag.",
  }),
  SERVICE_KEY_FILES: z
    .string()
    .transform((list) => list.split(",").map((path) => path.trim()))
    .optional()
    .describe("paths, comma-separated")
    .meta({
      meaning:
        "The private keys by which the services in this process authenticate to other processes. Without it they have random keys, " +
        "can't call other processes and can't be called by them. `npm start` generates keys in `DATA_DIR/keys`. The files are read again every two seconds.",
    }),
  PUBLIC_KEYS_FILE: z
    .string()
    .optional()
    .describe("path")
    .meta({ meaning: "The public keys of all services. Set it together with `SERVICE_KEY_FILES`, or set neither." }),
});
export type PlatformConfig = z.output<typeof platformConfig>;

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:\/\/[^/]/.test(text);
}

/** Checks the form only: options are checked by the driver, which the processes without a database do not load. */
function isMongoUri(text: string): boolean {
  return /^mongodb(\+srv)?:\/\/([^@/]+@)?[^@/,]+(,[^@/,]+)*(\/|$)/.test(text);
}

function isRedisUrl(text: string): boolean {
  if (/^unix:\/\/([^:@/]*:[^@/]*@)?\/./.test(text)) return true;
  return /^rediss?:\/\/[^/]/.test(text) && URL.canParse(text);
}

function areNatsUrls(text: string): boolean {
  return text.split(",").every((item) => {
    const url = item.trim();
    return URL.canParse(/:\/\//.test(url) ? url : `nats://${url}`) && !/^(?!nats:)[a-z]+:\/\//.test(url);
  });
}
