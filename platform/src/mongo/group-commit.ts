import { type Collection, type Document, MongoBulkWriteError, type OptionalUnlessRequiredId } from "mongodb";

const maxBatch = 256;
const maxInFlight = 2;

/** Inserts that arrive together are written together; each caller hears of its own document alone. */
export interface GroupCommit<Stored extends { _id: string }> {
  /**
   * Resolves when a majority has the document in its journal. Rejects with the duplicate key error that this document
   * caused; with any other error it is unknown whether the document is stored. Try again with the same _id.
   */
  insert(document: Stored): Promise<void>;
}

interface Waiting<Stored> {
  readonly document: Stored;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Batches of up to 256 documents, two on their way at a time: while they are, the next ones gather. Nobody waits for a
 * batch to fill: when it is quiet, a batch is one document.
 */
export function createGroupCommit<Stored extends Document & { _id: string }>(
  collection: Collection<Stored>,
): GroupCommit<Stored> {
  const waiting: Waiting<Stored>[] = [];
  let inFlight = 0;

  async function commitNext(): Promise<void> {
    if (inFlight >= maxInFlight || waiting.length === 0) return;
    const batch = waiting.splice(0, maxBatch);
    inFlight++;
    try {
      await commit(batch);
    } finally {
      inFlight--;
      void commitNext();
    }
  }

  async function commit(batch: readonly Waiting<Stored>[]): Promise<void> {
    try {
      const documents = batch.map(({ document }) => document as unknown as OptionalUnlessRequiredId<Stored>);
      await collection.insertMany(documents, { ordered: false });
      for (const { resolve } of batch) resolve();
    } catch (error) {
      if (tellsOfEach(error)) answerEach(batch, error);
      else await askTheDatabase(batch, error);
    }
  }

  async function askTheDatabase(batch: readonly Waiting<Stored>[], error: unknown): Promise<void> {
    const stored = new Set<string>();
    try {
      const ids = batch.map(({ document }) => document._id);
      const found = collection.find({ _id: { $in: ids } } as never).project<{ _id: string }>({ _id: 1 });
      for await (const { _id } of found) stored.add(_id);
    } catch {
      // Then nothing is known of any of them.
    }
    for (const { document, resolve, reject } of batch) {
      if (stored.has(document._id)) resolve();
      else reject(error);
    }
  }

  return {
    insert: (document) =>
      new Promise((resolve, reject) => {
        waiting.push({ document, resolve, reject });
        // What arrives in the same turn of the event loop belongs to the same batch.
        if (waiting.length === 1) setImmediate(() => void commitNext());
      }),
  };
}

/**
 * Tells whether the error says of each document what became of it. After a network error `writeErrors` is empty, not
 * absent; and what was written without its write concern may yet be rolled back.
 */
function tellsOfEach(error: unknown): error is MongoBulkWriteError {
  if (!(error instanceof MongoBulkWriteError)) return false;
  return writeErrorsOf(error).length > 0 && error.result.getWriteConcernError() === undefined;
}

function answerEach<Stored>(batch: readonly Waiting<Stored>[], error: MongoBulkWriteError): void {
  const failed = new Map(writeErrorsOf(error).map((writeError) => [writeError.index, writeError]));
  for (const [index, { resolve, reject }] of batch.entries()) {
    const writeError = failed.get(index);
    if (writeError === undefined) resolve();
    else reject(new MongoBulkWriteError({ message: writeError.errmsg ?? "", code: writeError.code }, error.result));
  }
}

function writeErrorsOf(error: MongoBulkWriteError) {
  return [error.writeErrors].flat();
}
