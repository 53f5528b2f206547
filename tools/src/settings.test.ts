import { expect, test } from "vitest";
import { readSettings } from "./settings.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

test.each([
  ["LISTEN_HOST", "http://127.0.0.1", "neither an IP address nor the name of a host"],
  ["LISTEN_HOST", "[::1]", "neither an IP address nor the name of a host"],
  ["LISTEN_HOST", "127.0.0.1:80", "neither an IP address nor the name of a host"],
  ["LISTEN_HOST", "256.1.1.1", "neither an IP address nor the name of a host"],
  ["CORS_ORIGINS", "https://a.example,https://b.example/", "write https://b.example"],
  ["CORS_ORIGINS", "https://a..example", "part of the host name is missing between two dots"],
  ["USERS_URL", "https://users", "not of the form http://host:port"],
  ["ORDER_BACKLOG", "0x10", "not an integer of 1 to 100000"],
  ["CACHE_MEMORY_MIB", "64MB", "not an integer of 1 to 16384"],
  ["METRICS_PORT", "http", "not an integer of 1 to 65535"],
  ["WORKERS", "many", "WORKERS"],
  ["LOG_LEVEL", "loud", "not a log level"],
  ["NATS_REPLICAS", "3", "one NATS server is started here"],
  ["REFLECTION", "perhaps", "neither true nor false"],
  ["TRUSTED_PROXIES", "10.0.0.0/99", "neither a count nor a network"],
  ["MONGODB_URI", "localhost:27017", "not a connection string"],
  ["REDIS_URL", "localhost", "neither of the form redis://"],
  ["NATS_URL", "http://localhost:4222", "not a list of nats://"],
])("%s=%s is one line that names the setting", (name, value, said) => {
  const read = () => readSettings([], { DATA_DIR: temporaryFolder(), [name]: value });
  expect(read).toThrow(/^[A-Z_]+ .*$/);
  expect(read).toThrow(name);
  expect(read).toThrow(said);
});

test.each([
  [undefined, 15_000],
  ["300", 315_000],
])("with DRAIN_SECONDS=%s a process is killed only after it could drain and finish its calls", (seconds, ms) => {
  expect(readSettings([], { DRAIN_SECONDS: seconds }).stopGraceMs).toBe(ms);
});
