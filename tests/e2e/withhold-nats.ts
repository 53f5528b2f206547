import { createServer, type Server } from "node:net";
import { runningProcesses } from "../setup/shop.ts";
import { eventually } from "./eventually.ts";
import { shop } from "./shopping.ts";

const diesTimeoutMs = 60_000;
const natsOf = () => runningProcesses(shop.dataDir).find(({ name }) => name === "nats");

/** Kills NATS and occupies its port, so that it can't restart; call the result to release it. */
export async function withholdNats(): Promise<() => Promise<void>> {
  const port = natsOf()!.ports[0]!;
  const server = await eventually(
    async () => {
      const running = natsOf();
      if (running !== undefined) {
        try {
          process.kill(running.pid, "SIGKILL");
        } catch {
          // It has died meanwhile.
        }
      }
      return await listen(port);
    },
    { timeoutMs: diesTimeoutMs, everyMs: 5 },
  );
  return async () => void (await new Promise((resolve) => server.close(resolve)));
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject).listen(port, "127.0.0.1", () => resolve(server));
  });
}
