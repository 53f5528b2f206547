import * as http from "node:http";
import type { Duplex } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorResponse } from "./rest/error.ts";
import { withHttpStatus } from "./rest/http-status.ts";
import { alwaysSaid } from "./security-headers.ts";

const garbage = refusal(400, Code.InvalidArgument, "this is not HTTP");
const unknownMethod = refusal(501, Code.Unimplemented, "this HTTP method is not known here");
/** A request line that is sound but for its method, which Node's parser has to know to read on. */
const soundLine = /^[\w!#$%&'*+.^`|~-]+ \S+ HTTP\/1\.[01]\r?\n/;
const noTunnel = refusal(400, Code.InvalidArgument, "this is no proxy to other hosts");
const noHost = refusal(400, Code.InvalidArgument, "one Host header is required");

/** By the code of Node's error. */
const refusals: Readonly<Record<string, ReturnType<typeof refusal>>> = {
  ERR_HTTP_REQUEST_TIMEOUT: refusal(408, Code.DeadlineExceeded, "the request took too long to arrive"),
  HPE_HEADER_OVERFLOW: refusal(431, Code.ResourceExhausted, "the headers are too large"),
};

/**
 * For 'clientError': answers what did not become a request of HTTP/1.1, unless another answer is under way, and closes its
 * connection. Node and Fastify would answer by themselves, past everything that every answer says.
 */
export function answerUnreadable(error: NodeJS.ErrnoException & { readonly rawPacket?: Buffer }, socket: Duplex): void {
  const { code = "", rawPacket } = error;
  const isUnknown = code === "HPE_INVALID_METHOD" && soundLine.test(rawPacket?.toString("latin1") ?? "");
  answerAndClose(isUnknown ? unknownMethod : (refusals[code] ?? garbage), socket);
}

/** For 'connect': answers CONNECT, which would make a tunnel of the connection. */
export function refuseTunnel(socket: Duplex): void {
  answerAndClose(noTunnel, socket);
}

function answerAndClose({ status, headers, body }: ReturnType<typeof refusal>, socket: Duplex): void {
  if (socket.writable && !isAnswering(socket)) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${lines.join("")}\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), body]));
  }
  socket.destroy();
}

/** Node asks the same before it answers, and has no public name for it. */
function isAnswering(socket: Duplex & { readonly _httpMessage?: http.ServerResponse | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}

/**
 * Lets no request of HTTP/1.1 through that does not say which host it is for, or says so twice (RFC 9112 3.2): proxies and we
 * might each believe another one. Of several, Node shows only the first.
 */
export function requireOneHost(handler: http.RequestListener): http.RequestListener {
  const closing = new WeakSet<object>();
  return (request, response) => {
    // What came after a request that closes the connection, in the same packet, is taken for nothing.
    if (closing.has(request.socket)) return;
    const hosts = hostsOf(request);
    if (hosts === 1 || (hosts === 0 && request.httpVersion === "1.0")) {
      handler(request, response);
      return;
    }
    closing.add(request.socket);
    response.writeHead(noHost.status, noHost.headers).end(noHost.body);
  };
}

function hostsOf({ rawHeaders }: http.IncomingMessage): number {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === "host") hosts++;
  return hosts;
}

/** As REST tells every error, on a connection that ends with it. */
function refusal(status: number, code: Code, message: string) {
  const { headers, body } = errorResponse(withHttpStatus(new ConnectError(message, code), status));
  return { status, headers: { ...alwaysSaid, connection: "close", ...headers }, body };
}
