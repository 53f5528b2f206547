import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { callApart } from "../call-apart.ts";
import { replaceFile } from "../replace-file.ts";
import { type Account, operator } from "./account.ts";
import type { Credentials } from "./credentials.ts";
import { dockerEnvironment } from "./docker-environment.ts";
import type { jetStreamAnswers } from "./jet-stream-answers.ts";
import { natsAuthorization } from "./nats-authorization.ts";
import type { ServerSource } from "./resolve-server.ts";
import { serverEnvironment } from "./server-environment.ts";
import { type LaunchedServer, type Starting, untilReady } from "./starting.ts";

const maxPayloadBytes = 8 * 1024 * 1024;
const check = { file: "infra/jet-stream-answers.ts", name: "jetStreamAnswers" };

interface NatsMember {
  readonly name: string;
  readonly port: number;
  /** The port for the other members of a cluster; absent for a single server. */
  readonly routePort: number | undefined;
}

/**
 * Starts NATS with JetStream: one server, or a cluster of all `names`.
 * A member's ports are [client] or [client, route].
 */
export async function launchNats(
  source: ServerSource,
  names: readonly string[],
  starting: Starting,
): Promise<LaunchedServer> {
  if (source.from === "environment") return { urlFor: () => source.url, answers: async () => {} };
  const { dataDir, env, ports, keep, signal, accounts, credentials } = starting;
  const docker = source.from === "docker";
  const nodes = names.map((name) => ({ name, port: ports[name]![0]!, routePort: ports[name]![1] }));
  const members = await Promise.all(
    nodes.map(async (node) => {
      const own = { name: node.name, ports: ports[node.name]! };
      if (docker) {
        const variables = { NATS_PORT: String(node.port) };
        return keep({
          ...own,
          command: "docker",
          args: source.args,
          env: dockerEnvironment(starting, variables),
        });
      }
      const folder = join(dataDir, node.name);
      const configFile = join(folder, "nats-server.conf");
      await mkdir(folder, { recursive: true, mode: 0o700 });
      replaceFile(configFile, natsConfig(node, nodes, folder, accounts, credentials));
      return keep({ ...own, command: source.path, args: ["--config", configFile], env: serverEnvironment(env) });
    }),
  );
  await Promise.all(members.map((member) => member.start()));
  const seedOf = (account: string) => credentials.accounts[account]!.natsSeed;
  const clientPorts = nodes.map(({ port }) => port);
  const answers = () => callApart<typeof jetStreamAnswers>(check, [clientPorts, seedOf(operator)], signal);
  return {
    urlFor: (account) => nodes.map(({ port }) => `nats://${account}:${seedOf(account)}@127.0.0.1:${port}`).join(","),
    answers: () => untilReady(`${names.join(" and ")} answer for JetStream`, members, answers, { docker, signal }),
  };
}

/** See https://docs.nats.io/running-a-nats-service/configuration */
function natsConfig(
  node: NatsMember,
  nodes: readonly NatsMember[],
  folder: string,
  accounts: readonly Account[],
  credentials: Credentials,
): string {
  const lines = [
    `server_name: ${JSON.stringify(node.name)}`,
    `listen: "127.0.0.1:${node.port}"`,
    `max_payload: ${maxPayloadBytes}`,
    "jetstream {",
    `  store_dir: ${JSON.stringify(folder)}`,
    // Without it an acknowledged message may reach the disk only minutes later.
    "  sync_interval: always",
    "}",
    `authorization: ${natsAuthorization(accounts, credentials)}`,
  ];
  if (node.routePort !== undefined) {
    const { natsRoutePassword: password } = credentials;
    const routes = nodes.map(({ routePort }) => `"nats-route://route:${password}@127.0.0.1:${routePort}"`);
    lines.push(
      "cluster {",
      '  name: "shop"',
      `  listen: "127.0.0.1:${node.routePort}"`,
      `  authorization: { user: "route", password: "${password}" }`,
      `  routes: [${routes.join(", ")}]`,
      "}",
    );
  }
  return `${lines.join("\n")}\n`;
}
