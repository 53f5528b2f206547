import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { hashSync, verifySync } from "@node-rs/argon2";

/** What one hash costs: the parameters of Argon2id (RFC 9106). */
export interface HashCost {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
}

interface PasswordJob {
  readonly id: number;
  readonly password: string;
  /** What to compare the password with; without it the password is hashed. */
  readonly passwordHash: string | undefined;
  /** Goes ahead of those that are not known. */
  readonly isKnown: boolean;
}

/** Something to compute, or the id of what nobody waits for any more. */
export type PasswordRequest = PasswordJob | { readonly leave: number };

export type PasswordAnswer =
  | { readonly id: number; readonly result: string | boolean }
  | { readonly id: number; readonly error: unknown };

/** When so many wait, they wait for longer than a lot gathers. */
const crowd = 20;
/** How long a lot gathers. */
const lotMs = 200;
/** Of so many hashes, while both wait, one is of those that are not known. */
const turns = 4;

// A thread that only computes, with a queue of its own: the next hash begins the moment the last one ends, however busy the
// event loop that answers calls.
const port = parentPort!;
const cost: HashCost = workerData;
const parameters = {
  algorithm: 2 /* Argon2id */,
  memoryCost: cost.memoryKib,
  timeCost: cost.passes,
  parallelism: cost.lanes,
};
/** Each in the order in which they came. */
const known = new Map<number, PasswordJob>();
const others = new Map<number, PasswordJob>();
let turn = 0;
let answers: PasswordAnswer[] = [];
let lastLot = currentLot();

port.on("message", (request: PasswordRequest) => {
  hear(request);
  for (let job = takeNext(); job !== undefined; job = takeNext()) {
    answers.push(compute(job));
    // Hears now who came or left meanwhile: no event comes before the queues are empty.
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      hear(next.message);
    }
    const waiting = known.size + (job.isKnown ? 0 : others.size);
    if (waiting < crowd || currentLot() !== lastLot) answer();
  }
});

function hear(request: PasswordRequest): void {
  if ("leave" in request) {
    known.delete(request.leave);
    others.delete(request.leave);
  } else (request.isKnown ? known : others).set(request.id, request);
}

function takeNext(): PasswordJob | undefined {
  turn = (turn + 1) % turns;
  const [first, second] = turn === 0 ? [others, known] : [known, others];
  const queue = first.size > 0 ? first : second;
  for (const job of queue.values()) {
    queue.delete(job.id);
    return job;
  }
  return undefined;
}

function compute({ id, password, passwordHash }: PasswordJob): PasswordAnswer {
  try {
    const result = passwordHash === undefined ? hashSync(password, parameters) : verifySync(passwordHash, password);
    return { id, result };
  } catch (error) {
    return { id, error };
  }
}

/**
 * In a crowd results come out in lots: what follows each of them, a session, an event, a few counters, an answer, is then
 * written together with that of the others, which costs a fraction of writing it alone.
 */
function answer(): void {
  port.postMessage(answers);
  answers = [];
  lastLot = currentLot();
}

/** By the clock, so that the lots of all threads come out at the same time. */
function currentLot(): number {
  return Math.floor(Date.now() / lotMs);
}
