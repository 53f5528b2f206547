import cluster from "node:cluster";
import { once } from "node:events";
import Fastify from "fastify";
import { answerOf, startPart, taskOf } from "./part.ts";

/** A route that only answers. */
export interface FloorRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** The object that it answers with, as JSON. */
  readonly answer: unknown;
}

/** A bare Fastify server: the cost of the same bytes without our code. */
export interface Floor {
  readonly url: string;
  readonly pid: number;
  stop(): void;
}

/** The task of a floor's process. */
interface FloorTask {
  readonly routes: readonly FloorRoute[];
  readonly workers: number;
}

/** Starts one; with more than one worker, they share its port. */
export async function startFloor(routes: readonly FloorRoute[], workers = 1): Promise<Floor> {
  const task: FloorTask = { routes, workers };
  const child = startPart("floor", task);
  const url = await answerOf<string>(child);
  return { url, pid: child.pid!, stop: () => void child.kill() };
}

/** The process of the floor, or one of its workers. */
export async function serveFloor(): Promise<void> {
  const { routes, workers } = await taskOf<FloorTask>();
  process.send!(cluster.isPrimary && workers > 1 ? await serveInWorkers(routes, workers) : await serve(routes));
}

async function serve(routes: readonly FloorRoute[]): Promise<string> {
  const app = Fastify();
  for (const { method, path, answer } of routes) app.route({ method, url: path, handler: async () => answer });
  return await app.listen({ host: "127.0.0.1", port: 0 });
}

/** A worker's task; it answers once it listens. */
async function serveInWorkers(routes: readonly FloorRoute[], workers: number): Promise<string> {
  const task: FloorTask = { routes, workers: 1 };
  const answers = Array.from({ length: workers }, async () => {
    const worker = cluster.fork();
    worker.send(task);
    const [url] = await once(worker, "message");
    return url as string;
  });
  return (await Promise.all(answers))[0]!;
}
