// Preloaded into the services of a fault run (`node --import`): redirects every connection to the service's own link, for any
// source of the port. MongoDB and NATS send clients the addresses of their other members, so settings alone are not enough.
import { type NetConnectOpts, Socket } from "node:net";

// A process that outlived its run could join a later run on the same ports as an unknown replica.
const run = process.ppid;
setInterval(() => {
  if (process.ppid !== run) process.exit();
}, 500).unref();

/** `{"<port of a server>": <port of this process's link to it>}` */
const links = JSON.parse(process.env.SHOP_TEST_LINKS ?? "{}") as Readonly<Record<string, number>>;

const connect = Socket.prototype.connect as (this: Socket, ...args: unknown[]) => Socket;
Socket.prototype.connect = function throughLink(this: Socket, ...args: unknown[]): Socket {
  // net.connect() passes [[options, listener]].
  const [first, ...rest] = Array.isArray(args[0]) ? (args[0] as unknown[]) : args;
  const options = typeof first === "object" ? (first as NetConnectOpts) : undefined;
  const port = options !== undefined && "port" in options ? links[options.port] : undefined;
  if (port === undefined) return connect.apply(this, args);
  return connect.call(this, { ...options, port }, ...rest.filter((argument) => typeof argument === "function"));
};
