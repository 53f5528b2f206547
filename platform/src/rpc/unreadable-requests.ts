import * as http from "node:http";
import type { Duplex } from "node:stream";
import { Code } from "@connectrpc/connect";
import { alwaysSaid } from "./security-headers.ts";

interface Refusal {
  readonly status: number;
  readonly code: Code;
  readonly message: string;
}

const garbage: Refusal = { status: 400, code: Code.InvalidArgument, message: "this is not HTTP" };
const noHost: Refusal = { status: 400, code: Code.InvalidArgument, message: "one Host header is required" };

/** By the code of Node's error. */
const refusals: Readonly<Record<string, Refusal>> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: Code.DeadlineExceeded,
    message: "the request took too long to arrive",
  },
  HPE_HEADER_OVERFLOW: { status: 431, code: Code.ResourceExhausted, message: "the headers are too large" },
};

/**
 * For 'clientError': answers what did not become a request of HTTP/1.1, unless another answer is under way, and closes its
 * connection. Node and Fastify would answer by themselves, past everything that every answer says.
 */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (socket.writable && !isAnswering(socket)) {
    const { status, headers, body } = encode(refusals[error.code ?? ""] ?? garbage);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
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
  return (request, response) => {
    const hosts = hostsOf(request);
    if (hosts === 1 || (hosts === 0 && request.httpVersion === "1.0")) {
      handler(request, response);
      return;
    }
    const { status, headers, body } = encode(noHost);
    response.writeHead(status, headers).end(body);
  };
}

function hostsOf({ rawHeaders }: http.IncomingMessage): number {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === "host") hosts++;
  return hosts;
}

function encode({ status, code, message }: Refusal) {
  // google.rpc.Status, as REST has it.
  const body = JSON.stringify({ code, message, details: [] });
  const headers = {
    ...alwaysSaid,
    connection: "close",
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
  };
  return { status, headers, body };
}
