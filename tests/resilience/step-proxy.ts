import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { BSON } from "mongodb";
import { framesOf } from "./noisy-bus.ts";

// Stands between a service and its servers and reads what goes over the wire: every command to the database, every publish
// and every acknowledgement is a step with a name. A test says at which step the process dies, or what is held back.

/** A step that a process took: its name, and how many statements the server gets by it. */
export interface Step {
  readonly name: string;
  readonly statements: number;
}

/** Where a process dies: when the server has done so many statements of a step, and the process has not heard of it. */
export interface CrashPoint {
  readonly step: string;
  readonly done: number;
}

/** What becomes of the steps of a process. */
export interface Instructions {
  readonly crash?: CrashPoint;
  /** Steps whose names start like this are never done. */
  readonly hold?: string;
  /** Reads whose names start like this hear what they found when so many of them have found it. */
  readonly together?: { readonly reads: string; readonly count: number };
  /** Whether the sweepers' looking for work is a step too. */
  readonly withSweeps?: boolean;
}

/** The ways of one service to its servers. */
export interface StepProxy {
  /** Where the service finds MongoDB and NATS. */
  readonly mongodbPort: number;
  readonly natsPort: number;
  /** The next connections are those of this process. */
  follow(child: ChildProcess): void;
  /** Steps count from here. */
  instruct(instructions: Instructions): void;
  /** What the process has taken since, in the order in which it came here. */
  steps(): readonly Step[];
  close(): Promise<void>;
}

/** A process, and what becomes of its steps. */
class Life {
  readonly #child: ChildProcess;
  #instructions: Instructions = {};
  readonly #counts = new Map<string, number>();
  /** Reads that wait for each other. */
  readonly #gathering: (() => void)[] = [];
  readonly steps: Step[] = [];
  /** From the crash on nothing arrives any more, for as long as the server takes to do the last step. */
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

  /** Counts a step in, and says how much of it is still to be done: all of it, never, or so many statements, then death. */
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

  /** Hands over what reads have found, once there are as many as belong together, in the same turn of the process's event loop. */
  handTogether(handOn: () => void): void {
    this.#gathering.push(handOn);
    if (this.#gathering.length < this.#instructions.together!.count) return;
    // Stopped meanwhile, it finds all of them at once.
    this.#child.kill("SIGSTOP");
    for (const one of this.#gathering.splice(0)) one();
    this.#child.kill("SIGCONT");
  }
}

/** Opens the ways of one service to the servers on these ports of loopback. */
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
        // What was sent before arrives.
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

/** By what a command is known: its first field. */
const verbs = new Set([
  ...["find", "aggregate", "count", "distinct", "insert", "update", "delete", "findAndModify", "bulkWrite"],
  ...["commitTransaction", "abortTransaction"],
]);
/** Where a command that may have several statements keeps them. */
const statementFields = ["documents", "updates", "deletes", "ops"];

function joinMongodb(life: Life, client: Socket, server: Socket): void {
  /** What happens to the answers of some commands, by the id of their requests. */
  const answers = new Map<number, (frame: Buffer) => void>();

  client.on(
    "data",
    mongodbFrames((frame) => {
      const message = commandOf(frame);
      const kind = message && kindOfCommand(message.command, life.withSweeps);
      // Greetings and leases are no steps, but no process has them once it is dead.
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
 * Cuts a stream of bytes into messages, which begin with their length:
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
  /** What of it is sent as a sequence of documents. */
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

/** The same message with the first of its statements only. */
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

/** What jobs keep for themselves. */
const jobsOwn = ["leases", "audits", "stream_epochs"];

/** `insert orders`; undefined for what is no step: leases, and what jobs look for when the clock tells them. */
function kindOfCommand(command: Command, withSweeps: boolean): string | undefined {
  const verb = Object.keys(command)[0]!;
  if (jobsOwn.includes(String(command[verb]))) return undefined;
  const kind = typeof command[verb] === "string" ? `${verb} ${command[verb]}` : verb;
  if (verb === "find") {
    const filter = command.filter as object;
    // What a decision asks: which orders it has changed.
    if ("history" in filter) return kind.replace("find", "find changed");
    if ("outbox.0" in filter) return withSweeps ? kind.replace("find", "sweep") : undefined;
    // Only jobs read in ascending order of ids; only audits ask for ids alone.
    const { sort = {}, projection } = command as { sort?: object; projection?: object };
    const [sortedBy] = Object.entries(sort);
    if (sortedBy?.[0] === "_id" && sortedBy[1] === 1) {
      // Of them, those that do something about what has waited ask since when it has.
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
      // What came before it is done when the server answers.
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

/** `publish OrderPlaced`, `ack inventory-order-placed`; undefined for what the client and the server tell each other besides. */
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
  // Servers of a later kind put their domain and account before the stream and the consumer.
  return isAck ? `ack ${tokens[tokens.length > 9 ? 5 : 3]}` : undefined;
}
