import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ServerSource } from "./resolve-server.ts";
import { type StartedServer, type Starting, untilReady } from "./starting.ts";
import { answers } from "./tcp.ts";

const maxPayloadBytes = 8 * 1024 * 1024;

interface NatsMember {
  readonly name: string;
  readonly port: number;
  /** Where the other members of a cluster connect to; absent when it is alone. */
  readonly routePort: number | undefined;
}

/**
 * Starts NATS with JetStream: one server, or a cluster of all `names`.
 * A member's ports are [client] or [client, route].
 */
export async function startNats(
  source: ServerSource,
  names: readonly string[],
  starting: Starting,
): Promise<StartedServer> {
  if (source.from === "environment") return { url: source.url, members: [] };
  const { dataDir, ports, keep, signal } = starting;
  const nodes = names.map((name) => ({ name, port: ports[name]![0]!, routePort: ports[name]![1] }));
  const members = await Promise.all(
    nodes.map(async (node) => {
      const own = { name: node.name, ports: ports[node.name]! };
      if (source.from === "docker") {
        const env = { ...process.env, NATS_PORT: String(node.port) };
        return keep({ ...own, command: "docker", args: source.args, env });
      }
      const folder = join(dataDir, node.name);
      const configFile = join(folder, "nats-server.conf");
      await mkdir(folder, { recursive: true });
      await writeFile(configFile, natsConfig(node, nodes, folder));
      return keep({ ...own, command: source.path, args: ["--config", configFile] });
    }),
  );
  await Promise.all(members.map((member) => member.start()));
  for (const { name, port } of nodes) {
    await untilReady(`${name} answers for JetStream`, members, () => jetStreamAnswers(port), {
      docker: source.from === "docker",
      signal,
    });
  }
  return { url: nodes.map(({ port }) => `nats://127.0.0.1:${port}`).join(","), members };
}

/** See https://docs.nats.io/running-a-nats-service/configuration */
function natsConfig(node: NatsMember, nodes: readonly NatsMember[], folder: string): string {
  const lines = [
    `server_name: ${JSON.stringify(node.name)}`,
    `listen: "127.0.0.1:${node.port}"`,
    `max_payload: ${maxPayloadBytes}`,
    "jetstream {",
    `  store_dir: ${JSON.stringify(folder)}`,
    // Without it an acknowledged message is on disk only some minutes later.
    "  sync_interval: always",
    "}",
  ];
  if (node.routePort !== undefined) {
    const routes = nodes.map(({ routePort }) => `"nats-route://127.0.0.1:${routePort}"`);
    lines.push(
      "cluster {",
      '  name: "shop"',
      `  listen: "127.0.0.1:${node.routePort}"`,
      `  routes: [${routes.join(", ")}]`,
      "}",
    );
  }
  return `${lines.join("\n")}\n`;
}

/**
 * Asks the JetStream API for the account, over the plain NATS protocol: in a cluster nobody answers until the members
 * elected a leader. See https://docs.nats.io/reference/reference-protocols/nats-protocol
 */
function jetStreamAnswers(port: number): Promise<boolean> {
  const request = 'CONNECT {"verbose":false}\r\nSUB _INBOX.ready 1\r\nPUB $JS.API.INFO _INBOX.ready 0\r\n\r\n';
  return answers(port, request, (received) => /account_info_response(?!.*"error").*\}\r\n/s.test(received));
}
