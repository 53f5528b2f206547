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
  /** It can take a call. */
  free(connection: KeptConnection): void;
  /** It can't take one until it is free again; whether a call was on its way, that will not be answered. */
  broken(connection: KeptConnection, isCallLost: boolean): void;
}

const timeoutMs = 10_000;
const connectAgainAfterMs = 100;

/**
 * An HTTP/1.1 connection that carries one call after the other, made and read with as little work as can be: whatever makes
 * the load takes cores away from the server beside it. Bodies are told by their Content-Length; nothing is sent again.
 */
export class KeptConnection {
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

  /** To be called when it is free. */
  send(request: Buffer, answered: Call["answered"]): void {
    this.#call = { sentAt: performance.now(), answered };
    this.#socket.write(request);
  }

  /** A call that is on its way is forgotten. */
  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  /** To be called now and then. */
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
    // A character is a byte, so that lengths are those of the text. What is looked for in bodies is ASCII.
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
    // Said without being asked: it closes then.
    if (call === undefined) return;
    const answer = { status: Number(text.slice(9, 12)), body: text.slice(bodyStart) };
    call.answered(answer, performance.now() - call.sentAt);
    this.#on.free(this);
  }
}
