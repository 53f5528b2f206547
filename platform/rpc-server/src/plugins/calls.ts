import type { FastifyInstance, FastifyReply } from "fastify";
import type { Edge } from "../edge.ts";
import { nodeExchange } from "../exchange.ts";
import { carryOut } from "../pipeline/pipeline.ts";

/**
 * Answers calls in a Fastify application before its routes; other requests are left to them. With the {@link Edge}'s
 * serverFactory only requests that other hooks must see first get here, such as cross-origin ones.
 */
export function addCalls(app: FastifyInstance, edge: Edge): void {
  // In onRequest, before the body is read: aborting a body halfway would close the connection and break other calls on it.
  app.addHook("onRequest", (request, reply, next) => {
    const plan = edge.planOf(request.raw, reply.raw);
    if (plan === undefined) return next();
    takeOver(reply);
    if (plan.vary !== undefined) reply.raw.appendHeader("vary", plan.vary);
    carryOut(plan, nodeExchange(request.raw, reply.raw), reply.raw);
  });
}

/** Takes the answer out of Fastify's hands; headers that its hooks have set are kept. */
export function takeOver(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value as string);
  reply.hijack();
}
