import * as http from "node:http";
import type { Duplex } from "node:stream";
import { discardBody } from "./discard-body.ts";
import type { Refusals } from "./refusals.ts";

/** A request line that is sound but for its method, which Node's parser has to know to read on. */
const soundLine = /^[\w!#$%&'*+.^`|~-]+ \S+ HTTP\/1\.[01]\r?\n/;

/** Answers what did not become a request of HTTP/1.1. Node and Fastify would answer by themselves, in a form of their own. */
export interface UnreadableRequests {
  /** For 'clientError': answers, unless another answer is under way, and closes the connection. */
  answer(error: NodeJS.ErrnoException & { readonly rawPacket?: Buffer }, socket: Duplex): void;
  /** For 'connect': answers CONNECT, which would make a tunnel of the connection. */
  refuseTunnel(socket: Duplex): void;
  /**
   * Lets no request of HTTP/1.1 through that does not say which host it is for, or says so twice (RFC 9112 3.2): proxies and we
   * might each believe another one. Of several, Node shows only the first.
   */
  requireOneHost(handler: http.RequestListener): http.RequestListener;
  /** Lets no request of HTTP/2 through whose method Node's parser of HTTP/1.1 does not know, so that both versions answer alike. */
  requireKnownMethod(handler: http.RequestListener): http.RequestListener;
}

const knownMethods: ReadonlySet<string | undefined> = new Set(http.METHODS);

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Uint8Array;
}

export function unreadableRequests(encode: Refusals["unreadable"]): UnreadableRequests {
  function refusal(status: number, message: string): Answer {
    const { headers, body } = encode(status, message);
    return { status, headers: { ...headers, connection: "close" }, body };
  }
  const garbage = refusal(400, "this is not HTTP");
  const unknownMethod = refusal(501, "this HTTP method is not known here");
  const noTunnel = refusal(400, "this is no proxy to other hosts");
  const noHost = refusal(400, "one Host header is required");
  /** By the code of Node's error. */
  const refusals: Readonly<Record<string, Answer>> = {
    ERR_HTTP_REQUEST_TIMEOUT: refusal(408, "the request took too long to arrive"),
    HPE_HEADER_OVERFLOW: refusal(431, "the headers are too large"),
  };

  return {
    answer(error, socket) {
      const { code = "", rawPacket } = error;
      const isUnknown = code === "HPE_INVALID_METHOD" && soundLine.test(rawPacket?.toString("latin1") ?? "");
      answerAndClose(isUnknown ? unknownMethod : (refusals[code] ?? garbage), socket);
    },
    refuseTunnel: (socket) => answerAndClose(noTunnel, socket),
    requireOneHost(handler) {
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
        response.writeHead(noHost.status, noHost.headers as http.OutgoingHttpHeaders).end(noHost.body);
      };
    },
    requireKnownMethod: (handler) => (request, response) => {
      if (knownMethods.has(request.method)) {
        handler(request, response);
        return;
      }
      // A connection of HTTP/2 serves others, too.
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

/** Node asks the same before it answers, and has no public name for it. */
function isAnswering(socket: Duplex & { readonly _httpMessage?: http.ServerResponse | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}

function hostsOf({ rawHeaders }: http.IncomingMessage): number {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === "host") hosts++;
  return hosts;
}
