// Replaces the shop's services in tests of the starter: listens on all their ports, is ready at once, and proves
// on SIGTERM that the servers still run. FAKE_SERVICE selects a misbehaviour.
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { portVariable, serviceNames } from "@shop/topology";
import { accepts } from "../infra/tcp.ts";

const log = (level: string, msg: string) => console.log(JSON.stringify({ level, msg }));
const { env } = process;

if (env.FAKE_SERVICE === "broken") {
  log("error", "cannot read my configuration");
  process.exit(1);
}

const server = createServer((request, response) => {
  if (request.url === "/readyz") response.end("ok");
  else if (request.url === "/authenticate") {
    response.statusCode = env.FAKE_SERVICE === "other-admin" ? 401 : 200;
    response.end("{}");
  } else response.end(JSON.stringify({ products: [{}] })); // nothing to seed
});
const others = serviceNames.map((name) => ({
  server: createServer(),
  port: Number(env[portVariable(name)]),
}));
log("warn", `listening with keys in ${env.SERVICE_KEY_FILES?.split(",").length} files`);

process.on("SIGTERM", async () => {
  if (env.FAKE_SERVICE === "stubborn") return;
  await sleep(300); // as if a last request had to be answered
  const path = /^unix:\/\/[^/]*(.*)$/.exec(env.REDIS_URL!)?.[1];
  const redis = path === undefined ? { port: Number(new URL(env.REDIS_URL!).port) } : { path };
  log("warn", (await accepts(redis)) ? "drained while redis was there" : "redis was gone");
  for (const listening of [server, ...others.map((other) => other.server)]) listening.close();
  server.closeAllConnections();
});

// Last: a client that can connect may signal it to stop.
for (const other of others) other.server.listen(other.port, env.LISTEN_HOST);
server.listen(Number(env.GATEWAY_PORT), env.LISTEN_HOST);
