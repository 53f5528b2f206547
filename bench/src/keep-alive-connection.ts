import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  readonly body: string;
}

interface Call {
  readonly sentAt: number;
  readonly answered: (answer: Answer, tookMs: number) => void;
}

interface Listeners {
  /** It can send a call. */
  free(connection: KeepAliveConnection): void;
  /** It can't send one until it is free again; whether a call was in flight, which gets no answer. */
  broken(connection: KeepAliveConnection, isCallLost: boolean): void;
}

const timeoutMs = 10_000;
const connectAgainAfterMs = 100;

/**
 * An HTTP/1.1 connection for consecutive calls, with as little work per call as possible, because the
 * load shares cores with the server. Bodies end by their Content-Length; calls are never retried.
 */
export class KeepAliveConnection {
  readonly #url: URL;
  readonly #on: Listeners;
  #socket: Socket;
  #call: Call | undefined;
  #received = "";
  #isClosed = false;

  constructor(url: URL, on: Listeners) {
    this.#url = url;
    this.#on = on;
    this.#socket = this.#connect();
  }

  /** Only to be called when it is free. */
  send(request: Buffer, answered: Call["answered"]): void {
    this.#call = { sentAt: performance.now(), answered };
    this.#socket.write(request);
  }

  /** Abandons a call in flight. */
  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  /** To be called periodically, for timeouts. */
  giveUpWhatIsLate(): void {
    if (this.#call !== undefined && performance.now() - this.#call.sentAt > timeoutMs) this.#socket.destroy();
  }

  #connect(): Socket {
    const socket = connect({ host: this.#url.hostname, port: Number(this.#url.port), noDelay: true });
    socket.on("connect", () => this.#on.free(this));
    socket.on("data", (bytes) => this.#read(bytes));
    socket.on("error", () => {
      // It closes, too.
    });
    socket.on("close", () => {
      if (this.#isClosed) return;
      this.#on.broken(this, this.#call !== undefined);
      this.#call = undefined;
      this.#received = "";
      setTimeout(() => {
        if (!this.#isClosed) this.#socket = this.#connect();
      }, connectAgainAfterMs);
    });
    return socket;
  }

  #read(bytes: Buffer): void {
    // One character per byte, so that lengths are those of the text. The searched parts of bodies are ASCII.
    this.#received += bytes.toString("latin1");
    const text = this.#received;
    const headersEnd = text.indexOf("\r\n\r\n");
    if (headersEnd === -1) return;
    const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
    if (length === undefined) throw new Error(`an answer without Content-Length:\n${text}`);
    const bodyStart = headersEnd + 4;
    if (text.length < bodyStart + Number(length)) return;
    const call = this.#call;
    this.#call = undefined;
    this.#received = "";
    // An unsolicited response: the server closes the connection.
    if (call === undefined) return;
    const answer = { status: Number(text.slice(9, 12)), body: text.slice(bodyStart) };
    call.answered(answer, performance.now() - call.sentAt);
    this.#on.free(this);
  }
}
