// Preloaded (`node --import`) into a service that a test wants to see die at a chosen moment. Every command to the database,
// every publish and every acknowledgement is a step with a name. What to do at which step comes by message from the parent,
// and the service does not start before the first one.
import { once } from "node:events";
import { appendFileSync } from "node:fs";
import { createRequire, flushCompileCache } from "node:module";
import { pathToFileURL } from "node:url";

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

/** What a process is told; its steps count from there. */
export interface Instructions {
  /** The file that gets a line for each step. */
  readonly log?: string;
  readonly crash?: CrashPoint;
  /** Steps whose names start like this are never done. */
  readonly hold?: string;
  /** Reads whose names start like this hear what they found when so many of them have found it. */
  readonly together?: { readonly reads: string; readonly count: number };
  /** Whether the sweepers' looking for work is a step too. */
  readonly withSweeps?: boolean;
}

let instructions: Instructions = {};
const taken = new Map<string, number>();
/** Reads that wait for each other. */
let gathering: (() => void)[] = [];
/** From the crash on nothing may leave the process, for as long as the server takes to do the last step. */
let isDying = false;

const require = createRequire(import.meta.url);
patchMongo();
patchNats();

process.on("disconnect", () => process.exit(1));
process.on("message", (message: Instructions) => {
  instructions = message;
  taken.clear();
  gathering = [];
  process.send?.("understood");
});
const told = once(process, "message");
// Most of a start is loading: that is done before anybody waits for it, and remembered for the next one.
await import(new URL("service.ts", pathToFileURL(process.argv[1]!)).href);
flushCompileCache();
await told;

/** Counts a step in, and says how much of it is still to be done: all of it, never, or so many statements, then death. */
function take(kind: string, statements = 1): "all" | "never" | number {
  if (isDying || (instructions.hold !== undefined && kind.startsWith(instructions.hold))) return "never";
  const nth = (taken.get(kind) ?? 0) + 1;
  taken.set(kind, nth);
  const name = nth === 1 ? kind : `${kind} (${nth})`;
  note({ name, statements } satisfies Step);
  if (instructions.crash?.step !== name) return "all";
  if (instructions.crash.done === 0) die();
  isDying = true;
  return instructions.crash.done;
}

/** Resolves for as many reads as are to go on together in the same turn of the event loop. */
async function allOfThem(kind: string): Promise<void> {
  const { reads, count } = instructions.together ?? { reads: "", count: 0 };
  if (count === 0 || !kind.startsWith(reads)) return;
  await new Promise<void>((goOn) => {
    gathering.push(goOn);
    if (gathering.length === count) for (const one of gathering.splice(0)) one();
  });
}

function note(line: object): void {
  if (instructions.log !== undefined) appendFileSync(instructions.log, `${JSON.stringify(line)}\n`);
}

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // The signal comes before this has got anywhere.
  for (;;);
}

/** A command as the driver is about to send it. */
type Command = Readonly<Record<string, unknown>>;

/** By what a command is known: its first field. */
const verbs = [
  ...["find", "aggregate", "count", "distinct", "insert", "update", "delete", "findAndModify", "bulkWrite"],
  ...["commitTransaction", "abortTransaction"],
];
/** Where a command that may have several statements keeps them. */
const statementFields = ["documents", "updates", "deletes", "ops"];

function patchMongo(): void {
  const { Connection } = require("mongodb/lib/cmap/connection.js");
  const send = Connection.prototype.command;
  Connection.prototype.command = async function (namespace: unknown, command: Command, ...rest: unknown[]) {
    const kind = kindOfCommand(command);
    if (kind === undefined) return await send.call(this, namespace, command, ...rest);
    const field = statementFields.find((candidate) => candidate in command);
    const todo = take(kind, field === undefined ? 1 : statementsOf(command, field).length);
    if (todo === "all") {
      const answer = await send.call(this, namespace, command, ...rest);
      await allOfThem(kind);
      return answer;
    }
    if (todo === "never") return await new Promise(() => {});
    const begun = field === undefined ? command : { ...command, [field]: statementsOf(command, field).slice(0, todo) };
    await send.call(this, namespace, begun, ...rest);
    die();
  };
}

function statementsOf(command: Command, field: string): readonly Command[] {
  // The driver's sequence of documents that are encoded already, or a plain list.
  const statements = command[field] as readonly Command[] | { readonly documents: readonly Command[] };
  return "documents" in statements ? statements.documents : statements;
}

/** What jobs keep for themselves. */
const jobsOwn = ["leases", "audits", "stream_epochs"];

/** `insert orders`; undefined for what is no step: greetings, leases, and what jobs look for when the clock tells them. */
function kindOfCommand(command: Command): string | undefined {
  const verb = Object.keys(command)[0]!;
  if (!verbs.includes(verb) || jobsOwn.includes(String(command[verb]))) return undefined;
  const kind = typeof command[verb] === "string" ? `${verb} ${command[verb]}` : verb;
  if (verb === "find") {
    const filter = command.filter as object;
    // What a decision asks: which orders it has changed.
    if ("history" in filter) return kind.replace("find", "find changed");
    if ("outbox.0" in filter) return instructions.withSweeps ? kind.replace("find", "sweep") : undefined;
    // Only jobs read in ascending order of ids; only audits ask for ids alone.
    const { sort, projection } = command as { sort?: object | Map<string, unknown>; projection?: object };
    const [sortedBy] = sort instanceof Map ? sort : Object.entries(sort ?? {});
    if (sortedBy?.[0] === "_id" && sortedBy[1] === 1) {
      // Of them, those that do something about what has waited ask since when it has.
      return instructions.withSweeps && "create_time" in filter ? kind.replace("find", "look for late") : undefined;
    }
    if (Object.keys(projection ?? {}).join() === "_id") return undefined;
  }
  if (verb === "update") {
    const changes = statementsOf(command, "updates").map(({ u }) => u as object);
    if (changes.every((change) => Object.keys(change).join() === "$pull"))
      return kind.replace("update", "clear outbox of");
  }
  return kind;
}

function patchNats(): void {
  // The core that the client itself uses.
  const requireOfClient = createRequire(require.resolve("@nats-io/transport-node"));
  const { ProtocolHandler } = requireOfClient("@nats-io/nats-core/internal");
  const publish = ProtocolHandler.prototype.publish;
  ProtocolHandler.prototype.publish = function (subject: string, payload: Uint8Array, ...rest: unknown[]) {
    const kind = kindOfMessage(subject, payload);
    const todo = kind === undefined ? "all" : take(kind);
    if (todo === "never") return;
    publish.call(this, subject, payload, ...rest);
    if (todo !== "all") void this.flush().then(die);
  };
}

/** `publish OrderPlaced`, `ack inventory-order-placed`; undefined for what the client and the server tell each other besides. */
function kindOfMessage(subject: string, payload: Uint8Array): string | undefined {
  const tokens = subject.split(".");
  if (/^(shop|dead-letters)\./.test(subject)) return `publish ${tokens.at(-1)}`;
  const isAck = subject.startsWith("$JS.ACK.") && /^(\+ACK.*)?$/.test(new TextDecoder().decode(payload));
  // Servers of a later kind put their domain and account before the stream and the consumer.
  return isAck ? `ack ${tokens[tokens.length > 9 ? 5 : 3]}` : undefined;
}
