import type { FastifyInstance, FastifyReply } from "fastify";
import type { Edge } from "../edge.ts";
import { nodeExchange } from "../exchange.ts";
import { carryOut } from "../pipeline/pipeline.ts";

/**
 * Answers calls in a Fastify application, ahead of its routes; what is no call is left to them. With the {@link Edge}'s serverFactory
 * only requests come here that other hooks have to see first, such as those of pages of another origin.
 */
export function addCalls(app: FastifyInstance, edge: Edge): void {
  // Before the body is read: one that is given up halfway costs its connection, and the calls that share it.
  app.addHook("onRequest", (request, reply, next) => {
    const plan = edge.planOf(request.raw, reply.raw);
    if (plan === undefined) return next();
    takeOver(reply);
    if (plan.vary !== undefined) reply.raw.appendHeader("vary", plan.vary);
    carryOut(plan, nodeExchange(request.raw, reply.raw), reply.raw);
  });
}

/** From here on the answer is not Fastify's; headers that its hooks have set stay. */
export function takeOver(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value as string);
  reply.hijack();
}
