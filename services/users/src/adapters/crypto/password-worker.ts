import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { hashSync, verifySync } from "@node-rs/argon2";

/** The parameters of Argon2id (RFC 9106). */
export interface HashCost {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
}

interface PasswordJob {
  readonly id: number;
  readonly password: string;
  /** To compare the password with; without it the password is hashed. */
  readonly passwordHash: string | undefined;
  /** Has priority over jobs that are not known. */
  readonly isKnown: boolean;
}

/** A job, or the id of one whose caller is gone. */
export type PasswordRequest = PasswordJob | { readonly cancel: number };

export type PasswordAnswer =
  | { readonly id: number; readonly result: string | boolean }
  | { readonly id: number; readonly error: unknown };

/** From this queue length on, results are batched: the queue takes longer than a batch anyway. */
const batchedFrom = 20;
const batchMs = 200;
/** While both wait, one of this many hashes is for a caller that is not known. */
const turns = 4;

// A worker thread with its own queue, so that the next hash begins when the last one ends, however busy the main event loop is.
//
// Two queues, known callers and others, each in order of arrival. Every `turns`-th hash is taken from the others first, all others from the
// known ones first. The loop runs until both queues are empty; in between it polls the port, because no message event is delivered before
// the loop ends. Short queues post each result at once; long ones post results in batches.
const port = parentPort!;
const cost: HashCost = workerData;
const parameters = {
  algorithm: 2 /* Argon2id */,
  memoryCost: cost.memoryKib,
  timeCost: cost.passes,
  parallelism: cost.lanes,
};
const known = new Map<number, PasswordJob>();
const others = new Map<number, PasswordJob>();
let turn = 0;
let answers: PasswordAnswer[] = [];
let lastBatch = currentBatch();

port.on("message", (request: PasswordRequest) => {
  receive(request);
  for (let job = takeNext(); job !== undefined; job = takeNext()) {
    answers.push(compute(job));
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      receive(next.message);
    }
    const waiting = known.size + (job.isKnown ? 0 : others.size);
    if (waiting < batchedFrom || currentBatch() !== lastBatch) postAnswers();
  }
});

function receive(request: PasswordRequest): void {
  if ("cancel" in request) {
    known.delete(request.cancel);
    others.delete(request.cancel);
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
 * Batched results make the writes that follow them, sessions, events, counters and responses, arrive together, so that they are written
 * together, at a fraction of the cost.
 */
function postAnswers(): void {
  port.postMessage(answers);
  answers = [];
  lastBatch = currentBatch();
}

/** By the clock, so that all threads post their batches at the same time. */
function currentBatch(): number {
  return Math.floor(Date.now() / batchMs);
}
