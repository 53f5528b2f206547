import type { ChildProcess } from "node:child_process";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { answerJson, type PlatformTask, path, productId, requestBytes } from "./call-servers.ts";
import { startFloor } from "./floor.ts";
import {
  checkLoadTools,
  ghz,
  h2load,
  h2loadManyConnections,
  isInstalled,
  post,
  type ToolLoad,
  type ToolRequest,
  type ToolResult,
  wrk,
} from "./load-tools.ts";
import { mean } from "./mean.ts";
import { answerOf, startPart } from "./part.ts";
import { medianRatio } from "./ratio.ts";
import type { BenchSettings } from "./settings.ts";
import { table } from "./table.ts";
import { takeTurn } from "./turn.ts";

const usualSeconds = 5;
const usualConnections = 32;
/** Until hot code is compiled. */
const warmUpSeconds = 5;

interface Server {
  readonly url: string;
  readonly pid: number;
}

/** A protocol, the server that is its floor, and those that are compared with it. */
interface Subject {
  readonly name: string;
  readonly tool: (load: ToolLoad) => Promise<ToolResult>;
  readonly request: ToolRequest;
  readonly floor: readonly [name: string, server: Server];
  /** The request for the floor, if it differs. */
  readonly floorTakes?: ToolRequest;
  readonly compared: readonly (readonly [name: string, server: Server])[];
}

interface Turn extends ToolResult {
  readonly cpuPerCallUs: number;
}

/** The cost of a unary call: the same answer from bare servers and from a port of the platform, direct and forwarded. */
export async function benchCalls({ rounds, seconds = usualSeconds, connections = usualConnections }: BenchSettings) {
  checkLoadTools();
  const children: ChildProcess[] = [];
  const start = async (name: "platform" | "grpc-js", task: PlatformTask | object): Promise<Server> => {
    const child = startPart(name, task);
    children.push(child);
    return { url: await answerOf<string>(child), pid: child.pid! };
  };
  const floor = await startFloor([{ method: "POST", path, answer: answerJson() }]);
  try {
    const fast = await start("platform", { fastPath: true });
    const fallback = await start("platform", { fastPath: false });
    const forwarding = await start("platform", { fastPath: true, upstream: fast.url });
    const grpcJs = await start("grpc-js", {});
    const json = post(path, "application/json", Buffer.from(JSON.stringify({ productId })));
    const proto = post(path, "application/proto", requestBytes());
    const grpc = post(path, "application/grpc", encodeEnvelope(0, requestBytes()));
    const ours: Subject["compared"] = [
      ["the platform", fast],
      ["by Connect's handlers", fallback],
    ];
    const subjects: Subject[] = [
      {
        ...{ name: "Connect JSON", tool: wrk, request: json },
        ...{ floor: ["bare Fastify", floor], compared: ours },
      },
      {
        ...{ name: "Connect proto", tool: wrk, request: proto },
        ...{ floor: ["bare Fastify, JSON", floor], compared: ours },
        floorTakes: json,
      },
      {
        ...{ name: "gRPC", tool: h2load, request: grpc },
        ...{ floor: ["@grpc/grpc-js", grpcJs], compared: ours },
      },
      {
        ...{ name: "gRPC, a connection for each call", tool: h2loadManyConnections, request: grpc },
        ...{ floor: ["@grpc/grpc-js", grpcJs], compared: ours },
      },
      ...(isInstalled("ghz")
        ? [
            {
              ...{ name: "gRPC, by ghz", tool: ghz, request: grpc },
              ...{ floor: ["@grpc/grpc-js", grpcJs] as const, compared: ours },
            },
          ]
        : []),
      {
        ...{ name: "Connect JSON, forwarded", tool: wrk, request: json },
        ...{ floor: ["the service called directly", fast], compared: [["through another process", forwarding]] },
      },
      {
        ...{ name: "gRPC, forwarded", tool: h2load, request: grpc },
        ...{ floor: ["the service called directly", fast], compared: [["through another process", forwarding]] },
      },
    ];
    const rows: string[][] = [];
    for (const subject of subjects) rows.push(...(await measure(subject, rounds, seconds, connections)));
    return [
      "GetProductByID, answered with the same product by servers in a process each: bare ones, and a port of the",
      "platform with the complete pipeline (authorization, log, trace, errors, validation). HTTP/1.1 by wrk, one thread; gRPC by h2load, 8",
      `streams a connection unless said; ${connections} calls at once, turns of ${seconds} s, ${rounds} each, after ${warmUpSeconds} s to warm up.`,
      "Processor time is the server's own, for a forwarded call that of the forwarding process; the ratio is the median of those of",
      "each round. ghz, where it is installed, uses so much of the machine that servers differ less under it.",
      "",
      ...table(["", "", "calls/s", "each turn", "server CPU, us/call", "failed", "ratio"], rows),
    ].join("\n");
  } finally {
    floor.stop();
    for (const child of children) child.kill();
  }
}

async function measure(subject: Subject, rounds: number, seconds: number, connections: number): Promise<string[][]> {
  const { tool, request, floorTakes = request } = subject;
  const servers = [subject.floor, ...subject.compared];
  const turns = new Map<Server, Turn[]>(servers.map(([, server]) => [server, []]));
  const turn = async (server: Server, turnSeconds: number): Promise<Turn> => {
    const sent = server === subject.floor[1] ? floorTakes : request;
    return await takeTurn(server, tool, { requests: [sent], connections, seconds: turnSeconds });
  };
  for (const [, server] of servers) await turn(server, warmUpSeconds);
  for (let round = 0; round < rounds; round++)
    for (const [, server] of servers) turns.get(server)!.push(await turn(server, seconds));

  const perSecond = (server: Server) => mean(turns.get(server)!.map((one) => one.perSecond));
  const floor = turns.get(subject.floor[1])!;
  return servers.map(([name, server]) => {
    const own = turns.get(server)!;
    const row = [
      subject.name,
      name,
      perSecond(server).toFixed(0),
      own.map((one) => one.perSecond.toFixed(0)).join(", "),
      mean(own.map((one) => one.cpuPerCallUs)).toFixed(0),
      String(own.reduce((sum, { failed }) => sum + failed, 0)),
      medianRatio(own, floor).toFixed(2),
    ];
    console.log(row.join("  "));
    return row;
  });
}
