import { Code, ConnectError } from "@connectrpc/connect";
import { portOf } from "@shop/http-port";
import { withHttpStatus } from "@shop/rest";
import Fastify, { type FastifyError } from "fastify";
import { listenFailure } from "./listen-failure.ts";
import { takeOver } from "./plugins/calls.ts";
import { writeProtocolError } from "./protocols/protocol-error.ts";
import { createRpc, type Rpc, type RpcOptions } from "./rpc.ts";

export interface ServerOptions extends RpcOptions {
  /** The module whose port this is. */
  readonly name: string;
  /** 127.0.0.1 by default. */
  readonly host?: string;
  /** 0, the default, for any free port. */
  readonly port?: number;
}

export interface RpcServer {
  readonly name: string;
  readonly port: number;
  /** See {@link Rpc.announceClose}. */
  announceClose: Rpc["announceClose"];
  /** Stops accepting calls; resolves when those in progress have finished. */
  close(): Promise<void>;
}

/**
 * Opens a port that serves services (see {@link createRpc}) in a Fastify application of its own.
 *
 * @throws ConfigError if the address cannot be listened on
 */
export async function listen(options: ServerOptions): Promise<RpcServer> {
  const { name, host = "127.0.0.1", log } = options;
  const rpc = createRpc(options);
  const app = Fastify({
    serverFactory: rpc.serverFactory,
    routerOptions: { maxParamLength: 16_384 },
    // A request that arrives while the port closes is served like any other.
    return503OnClosing: false,
  });
  app.setErrorHandler((error: Partial<FastifyError>, request, reply) => {
    takeOver(reply);
    const { statusCode = 500, message = "" } = error;
    if (statusCode >= 500) log?.error({ err: error }, "a request failed");
    const answer =
      statusCode >= 500
        ? new ConnectError("internal error", Code.Internal)
        : withHttpStatus(new ConnectError(message, Code.InvalidArgument), statusCode);
    writeProtocolError(request.raw, reply.raw, answer);
  });
  await app.register(rpc.plugin);
  await app.listen({ host, port: options.port ?? 0 }).catch((error) => {
    throw listenFailure(error, name, host, options.port ?? 0);
  });
  const port = portOf(app.server);
  log?.debug({ port }, "listening");
  return {
    name,
    port,
    announceClose: rpc.announceClose,
    async close() {
      await app.close();
      rpc.close();
    },
  };
}
