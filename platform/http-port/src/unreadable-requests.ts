import * as http from "node:http";
import type { Duplex } from "node:stream";
import { discardBody } from "./discard-body.ts";
import type { Refusals } from "./refusals.ts";

/** A valid request line with a method that Node's parser does not know. */
const validLine = /^[\w!#$%&'*+.^`|~-]+ \S+ HTTP\/1\.[01]\r?\n/;

/** Answers input that did not become an HTTP/1.1 request. Node and Fastify would answer in formats of their own. */
export interface UnreadableRequests {
  /** For 'clientError': answers, unless another answer is in progress, and closes the connection. */
  answer(error: NodeJS.ErrnoException & { readonly rawPacket?: Buffer }, socket: Duplex): void;
  /** For 'connect': refuses CONNECT, which would turn the connection into a tunnel. */
  refuseTunnel(socket: Duplex): void;
  /**
   * Refuses HTTP/1.1 requests without a Host header or with several (RFC 9112 3.2), since a proxy might choose a different one.
   * Of several, Node shows only the first.
   */
  requireOneHost(handler: http.RequestListener): http.RequestListener;
  /** Refuses HTTP/2 requests whose method Node's HTTP/1.1 parser does not know, so that both versions give the same answer. */
  requireKnownMethod(handler: http.RequestListener): http.RequestListener;
}

const knownMethods: ReadonlySet<string | undefined> = new Set(http.METHODS);

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Uint8Array;
}

/** @param encode encodes headers and body of the answers */
export function unreadableRequests(encode: Refusals["unreadable"]): UnreadableRequests {
  function refusal(status: number, message: string): Answer {
    const { headers, body } = encode(status, message);
    return { status, headers: { ...headers, connection: "close" }, body };
  }
  const garbage = refusal(400, "this is not HTTP");
  const unknownMethod = refusal(501, "unknown HTTP method");
  const noTunnel = refusal(400, "this server does not proxy to other hosts");
  const noHost = refusal(400, "one Host header is required");
  /** By Node's error code. */
  const refusals: Readonly<Record<string, Answer>> = {
    ERR_HTTP_REQUEST_TIMEOUT: refusal(408, "the request took too long to arrive"),
    HPE_HEADER_OVERFLOW: refusal(431, "the headers are too large"),
  };

  return {
    answer(error, socket) {
      const { code = "", rawPacket } = error;
      const isUnknown = code === "HPE_INVALID_METHOD" && validLine.test(rawPacket?.toString("latin1") ?? "");
      answerAndClose(isUnknown ? unknownMethod : (refusals[code] ?? garbage), socket);
    },
    refuseTunnel: (socket) => answerAndClose(noTunnel, socket),
    requireOneHost(handler) {
      const closing = new WeakSet<object>();
      return (request, response) => {
        // Requests in the same packet after one that closes the connection are ignored.
        if (closing.has(request.socket)) return;
        const hosts = hostsOf(request);
        if (hosts === 1 || (hosts === 0 && request.httpVersion === "1.0")) {
          handler(request, response);
          return;
        }
        closing.add(request.socket);
        response.writeHead(noHost.status, noHost.headers as http.OutgoingHttpHeaders).end(noHost.body);
      };
    },
    requireKnownMethod: (handler) => (request, response) => {
      if (knownMethods.has(request.method)) {
        handler(request, response);
        return;
      }
      // An HTTP/2 connection carries other requests, too.
      const { connection: _, ...headers } = unknownMethod.headers;
      response.writeHead(unknownMethod.status, headers as http.OutgoingHttpHeaders).end(unknownMethod.body);
      discardBody(request, response);
    },
  };
}

function answerAndClose({ status, headers, body }: Answer, socket: Duplex): void {
  if (socket.writable && !isAnswering(socket)) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${lines.join("")}\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), body]));
  }
  socket.destroy();
}

/** Node makes the same check before its own answer; it has no public API. */
function isAnswering(socket: Duplex & { readonly _httpMessage?: http.ServerResponse | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}

function hostsOf({ rawHeaders }: http.IncomingMessage): number {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === "host") hosts++;
  return hosts;
}
