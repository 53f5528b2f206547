import type { FastifyPluginCallback, FastifyReply } from "fastify";
import type { Edge } from "../edge.ts";
import { nodeExchange } from "../exchange.ts";

/**
 * Answers calls in a Fastify application, ahead of its routes; what is no call is left to them. Of an application with {@link Edge.serverFactory}
 * only requests come here that plugins have to see first, such as those of pages of another origin.
 */
export function callsPlugin(edge: Edge): FastifyPluginCallback {
  const plugin: FastifyPluginCallback = (app, _options, done) => {
    // Before the body is read: one that is given up halfway costs its connection, and the calls that share it.
    app.addHook("onRequest", (request, reply, next) => {
      const plan = edge.planOf(request.raw, reply.raw);
      if (plan === undefined) return next();
      takeOver(reply);
      if (plan.vary !== undefined) reply.raw.appendHeader("vary", plan.vary);
      void plan.answer(nodeExchange(request.raw, reply.raw));
    });
    done();
  };
  // For all of the application, not for an encapsulated part: https://fastify.dev/docs/latest/Reference/Plugins/#handle-the-scope
  return Object.assign(plugin, { [Symbol.for("skip-override")]: true });
}

/** From here on the answer is not Fastify's; headers that its hooks have set stay. */
export function takeOver(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value as string);
  reply.hijack();
}
