import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { BSON } from "mongodb";
import { framesOf } from "./noisy-bus.ts";

// A proxy between a service and its servers that parses their protocols: every command to the database, every publish and
// every acknowledgement is a named step. A test chooses the step at which the process crashes, or the steps that are held
// back.

/** A step of a process: its name, and the number of statements that it sends to the server. */
export interface Step {
  readonly name: string;
  readonly statements: number;
}

/** The point of a crash: the server has executed this many statements of a step, and the process has no answer. */
export interface CrashPoint {
  readonly step: string;
  readonly done: number;
}

/** The plan for the steps of a process. */
export interface Instructions {
  readonly crash?: CrashPoint;
  /** Steps with these prefixes are never executed. */
  readonly hold?: string;
  /** Reads with this prefix get their results once this many have results. */
  readonly together?: { readonly reads: string; readonly count: number };
  /** Whether the sweepers' queries for work are steps, too. */
  readonly withSweeps?: boolean;
}

/** The proxied connections of one service to its servers. */
export interface StepProxy {
  /** The addresses of MongoDB and NATS for the service. */
  readonly mongodbPort: number;
  readonly natsPort: number;
  /** Assigns the next connections to a new process. */
  follow(child: ChildProcess): void;
  /** Starts recording steps. */
  instruct(instructions: Instructions): void;
  /** The steps since then, in the order of arrival. */
  steps(): readonly Step[];
  close(): Promise<void>;
}

/** A process and the plan for its steps. */
class Life {
  readonly #child: ChildProcess;
  #instructions: Instructions = {};
  readonly #counts = new Map<string, number>();
  /** Reads that wait for each other. */
  readonly #gathering: (() => void)[] = [];
  readonly steps: Step[] = [];
  /** From the crash on nothing is forwarded, while the server executes the last step. */
  isDying = false;

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  get withSweeps(): boolean {
    return this.#instructions.withSweeps ?? false;
  }

  instruct(instructions: Instructions): void {
    this.#instructions = instructions;
    this.#counts.clear();
    this.#gathering.length = 0;
    this.steps.length = 0;
  }

  /** Records a step, and returns how much of it is executed: all, nothing, or this many statements before the crash. */
  take(kind: string, statements: number): "all" | "never" | number {
    const { hold, crash } = this.#instructions;
    if (this.isDying || (hold !== undefined && kind.startsWith(hold))) return "never";
    const nth = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, nth);
    const name = nth === 1 ? kind : `${kind} (${nth})`;
    this.steps.push({ name, statements });
    if (crash?.step !== name) return "all";
    this.isDying = true;
    if (crash.done === 0) this.end();
    return crash.done;
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }

  waitsForOthers(kind: string): boolean {
    const { reads, count } = this.#instructions.together ?? { reads: "", count: 0 };
    return count > 0 && kind.startsWith(reads);
  }

  /** Delivers the results of grouped reads once all have arrived, in the same turn of the process's event loop. */
  handTogether(forward: () => void): void {
    this.#gathering.push(forward);
    if (this.#gathering.length < this.#instructions.together!.count) return;
    // The process is stopped meanwhile, so it reads all of them at once.
    this.#child.kill("SIGSTOP");
    for (const one of this.#gathering.splice(0)) one();
    this.#child.kill("SIGCONT");
  }
}

/** Opens the proxy of one service to the servers on these loopback ports. */
export async function openStepProxy(ports: { readonly mongodb: number; readonly nats: number }): Promise<StepProxy> {
  let life: Life | undefined;
  const sockets = new Set<Socket>();

  async function open(port: number, join: (life: Life, client: Socket, server: Socket) => void): Promise<Server> {
    const listening = createServer({ noDelay: true }, (client) => {
      const server = connect({ host: "127.0.0.1", port, noDelay: true });
      for (const [socket, other] of [
        [client, server],
        [server, client],
      ] as const) {
        sockets.add(socket);
        socket.on("error", () => {}).once("close", () => sockets.delete(socket));
        // Bytes sent before the crash arrive.
        socket.once("close", () => other.end());
      }
      if (life === undefined) client.destroy();
      else join(life, client, server);
    });
    listening.listen(0, "127.0.0.1");
    await once(listening, "listening");
    return listening;
  }

  const listeners = await Promise.all([open(ports.mongodb, joinMongodb), open(ports.nats, joinNats)]);
  const [mongodbPort, natsPort] = listeners.map((server) => (server.address() as AddressInfo).port);
  return {
    mongodbPort: mongodbPort!,
    natsPort: natsPort!,
    follow(child) {
      life = new Life(child);
    },
    instruct: (instructions) => life!.instruct(instructions),
    steps: () => [...(life?.steps ?? [])],
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(listeners.map((server) => new Promise((closed) => server.close(closed))));
    },
  };
}

/** A command to the database. */
type Command = Readonly<Record<string, unknown>>;

/** The name of a command: its first field. */
const verbs = new Set([
  ...["find", "aggregate", "count", "distinct", "insert", "update", "delete", "findAndModify", "bulkWrite"],
  ...["commitTransaction", "abortTransaction"],
]);
/** The field with the statements of a command that may have several. */
const statementFields = ["documents", "updates", "deletes", "ops"];

function joinMongodb(life: Life, client: Socket, server: Socket): void {
  /** Handlers for the replies of some commands, by request id. */
  const answers = new Map<number, (frame: Buffer) => void>();

  client.on(
    "data",
    mongodbFrames((frame) => {
      const message = commandOf(frame);
      const kind = message && kindOfCommand(message.command, life.withSweeps);
      // Handshakes and leases are not steps, but after a crash they are not forwarded either.
      if (kind === undefined) return void (life.isDying || server.write(frame));
      const field = statementFields.find((candidate) => candidate in message!.command);
      const statements = field === undefined ? undefined : (message!.command[field] as readonly Command[]);
      const todo = life.take(kind, statements?.length ?? 1);
      if (todo === "never" || todo === 0) return;
      const requestId = frame.readInt32LE(4);
      if (todo === "all") {
        if (life.waitsForOthers(kind))
          answers.set(requestId, (answer) => life.handTogether(() => client.write(answer)));
        server.write(frame);
      } else {
        answers.set(requestId, () => life.end());
        server.write(todo < (statements?.length ?? 1) ? firstStatements(frame, message!, field!, todo) : frame);
      }
    }),
  );
  server.on(
    "data",
    mongodbFrames((frame) => {
      const responseTo = frame.readInt32LE(8);
      const answer = answers.get(responseTo);
      answers.delete(responseTo);
      if (answer !== undefined) answer(frame);
      else if (!life.isDying) client.write(frame);
    }),
  );
}

/**
 * Splits a stream of bytes into messages, which begin with their length:
 * https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
 */
function mongodbFrames(take: (frame: Buffer) => void): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (rest.length >= 4 && rest.length >= rest.readInt32LE(0)) {
      const length = rest.readInt32LE(0);
      take(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  };
}

/** An OP_MSG with a command that may be a step. */
interface CommandMessage {
  /** With the documents of its sequence in their field. */
  readonly command: Command;
  readonly body: Buffer;
  /** Its part that is sent as a document sequence. */
  readonly sequence: { readonly field: string; readonly documents: readonly Buffer[] } | undefined;
}

const opMsg = 2013;
const sectionsAt = 20;

function commandOf(frame: Buffer): CommandMessage | undefined {
  if (frame.readInt32LE(12) !== opMsg) return undefined;
  let body: Buffer | undefined;
  let sequence: CommandMessage["sequence"];
  for (let at = sectionsAt; at < frame.length; ) {
    const section = frame.subarray(at + 1, at + 1 + frame.readInt32LE(at + 1));
    if (frame[at] === 0) body = section;
    else {
      const fieldEnd = section.indexOf(0, 4);
      sequence = {
        field: section.toString("latin1", 4, fieldEnd),
        documents: documentsOf(section.subarray(fieldEnd + 1)),
      };
    }
    at += 1 + section.length;
  }
  // Length, type and name of the first field.
  if (body === undefined || !verbs.has(body.toString("latin1", 5, body.indexOf(0, 5)))) return undefined;
  const command: Command = {
    ...BSON.deserialize(body),
    ...(sequence && { [sequence.field]: sequence.documents.map((document) => BSON.deserialize(document)) }),
  };
  return { command, body, sequence };
}

function documentsOf(bytes: Buffer): Buffer[] {
  const documents: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += documents.at(-1)!.length)
    documents.push(bytes.subarray(at, at + bytes.readInt32LE(at)));
  return documents;
}

/** The same message with its first statements only. */
function firstStatements(frame: Buffer, { body, sequence }: CommandMessage, field: string, count: number): Buffer {
  const sections: Buffer[] = [Buffer.of(0)];
  if (sequence === undefined) {
    const command = BSON.deserialize(body, { promoteValues: false });
    sections.push(Buffer.from(BSON.serialize({ ...command, [field]: (command[field] as unknown[]).slice(0, count) })));
  } else {
    const documents = sequence.documents.slice(0, count);
    const name = Buffer.from(`${sequence.field}\0`);
    const size = Buffer.alloc(4);
    size.writeInt32LE(4 + name.length + documents.reduce((sum, { length }) => sum + length, 0));
    sections.push(body, Buffer.of(1), size, name, ...documents);
  }
  const begun = Buffer.concat([frame.subarray(0, sectionsAt), ...sections]);
  begun.writeInt32LE(begun.length, 0);
  return begun;
}

/** Collections that only jobs use. */
const jobsOwn = ["leases", "audits", "stream_epochs"];

/** The step's name, such as `insert orders`; undefined for leases and periodic queries of jobs, which are not steps. */
function kindOfCommand(command: Command, withSweeps: boolean): string | undefined {
  const verb = Object.keys(command)[0]!;
  if (jobsOwn.includes(String(command[verb]))) return undefined;
  const kind = typeof command[verb] === "string" ? `${verb} ${command[verb]}` : verb;
  if (verb === "find") {
    const filter = command.filter as object;
    // The query of a decision for the orders that it changed.
    if ("history" in filter) return kind.replace("find", "find changed");
    if ("outbox.0" in filter) return withSweeps ? kind.replace("find", "sweep") : undefined;
    // Only jobs read in ascending order of ids; only audits read ids alone.
    const { sort = {}, projection } = command as { sort?: object; projection?: object };
    const [sortedBy] = Object.entries(sort);
    if (sortedBy?.[0] === "_id" && sortedBy[1] === 1) {
      // Of these, the jobs that handle overdue work filter by time.
      return withSweeps && "create_time" in filter ? kind.replace("find", "look for late") : undefined;
    }
    if (Object.keys(projection ?? {}).join() === "_id") return undefined;
  }
  if (verb === "update") {
    const changes = (command.updates as readonly Command[]).map(({ u }) => u as object);
    if (changes.every((change) => Object.keys(change).join() === "$pull"))
      return kind.replace("update", "clear outbox of");
  }
  return kind;
}

function joinNats(life: Life, client: Socket, server: Socket): void {
  let isLast = false;

  client.on(
    "data",
    framesOf((frame) => {
      const kind = kindOfFrame(frame);
      if (kind === undefined) return void (life.isDying || server.write(frame));
      const todo = life.take(kind, 1);
      if (todo === "never" || todo === 0) return;
      server.write(frame);
      if (todo === "all") return;
      // When the server answers, it has executed the steps before.
      isLast = true;
      server.write("PING\r\n");
    }),
  );
  server.on(
    "data",
    framesOf((frame) => {
      if (isLast && frame.toString("latin1", 0, 4).toUpperCase() === "PONG") life.end();
      if (!life.isDying) client.write(frame);
    }),
  );
}

/** The step's name, such as `publish OrderPlaced` or `ack inventory-order-placed`; undefined for other protocol messages. */
function kindOfFrame(frame: Buffer): string | undefined {
  const lineEnd = frame.indexOf("\r\n");
  const [, verb, subject, sizes] =
    /^(H?PUB) (\S+) (?:\S+ )??(\d+(?: \d+)?)$/i.exec(frame.toString("latin1", 0, lineEnd)) ?? [];
  if (verb === undefined) return undefined;
  const tokens = subject!.split(".");
  if (/^(shop|dead-letters)\./.test(subject!)) return `publish ${tokens.at(-1)}`;
  const headersLength = verb.length === 4 ? Number(sizes!.split(" ")[0]) : 0;
  const payload = frame.toString("latin1", lineEnd + 2 + headersLength, frame.length - 2);
  const isAck = subject!.startsWith("$JS.ACK.") && /^(\+ACK.*)?$/.test(payload);
  // Newer servers add their domain and account before the stream and the consumer.
  return isAck ? `ack ${tokens[tokens.length > 9 ? 5 : 3]}` : undefined;
}
