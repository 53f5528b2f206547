import Fastify from "fastify";
import { answerOf, startPart, taskOf } from "./part.ts";

/** A route that does nothing but answer. */
export interface FloorRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** The object it answers, as JSON. */
  readonly answer: unknown;
}

/** A bare Fastify server: what the same bytes cost without any of ours. */
export interface Floor {
  readonly url: string;
  readonly pid: number;
  stop(): void;
}

export async function startFloor(routes: readonly FloorRoute[]): Promise<Floor> {
  const child = startPart("floor", routes);
  const url = await answerOf<string>(child);
  return { url, pid: child.pid!, stop: () => void child.kill() };
}

/** The process of the floor. */
export async function serveFloor(): Promise<void> {
  const app = Fastify();
  for (const { method, path, answer } of await taskOf<readonly FloorRoute[]>()) {
    app.route({ method, url: path, handler: async () => answer });
  }
  process.send!(await app.listen({ host: "127.0.0.1", port: 0 }));
}
