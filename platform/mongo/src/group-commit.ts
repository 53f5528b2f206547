import { gather } from "@shop/core";
import { type Collection, type Document, MongoBulkWriteError, type OptionalUnlessRequiredId } from "mongodb";

/**
 * Inserts that arrive together are written together: up to 256 documents a batch, while the last batch is on its way. Each
 * caller hears of its own document alone: the answer resolves when a majority has it in its journal, and rejects with the
 * duplicate key error that this document caused; with any other error it is unknown whether the document is stored. Try
 * again with the same _id.
 */
export function createGroupCommit<Stored extends Document & { _id: string }>(
  collection: Collection<Stored>,
): (document: Stored) => Promise<void> {
  return gather({
    maxItems: 256,
    maxInFlight: 1,
    async work(documents: readonly Stored[]) {
      try {
        await collection.insertMany(documents as unknown as OptionalUnlessRequiredId<Stored>[], { ordered: false });
        return new Map();
      } catch (error) {
        return tellsOfEach(error) ? errorsOfEach(error) : await notStored(collection, documents, error);
      }
    },
  });
}

/**
 * Tells whether the error says of each document what became of it. After a network error `writeErrors` is empty, not
 * absent; and what was written without its write concern may yet be rolled back.
 */
function tellsOfEach(error: unknown): error is MongoBulkWriteError {
  if (!(error instanceof MongoBulkWriteError)) return false;
  return writeErrorsOf(error).length > 0 && error.result.getWriteConcernError() === undefined;
}

function errorsOfEach(error: MongoBulkWriteError): Map<number, unknown> {
  return new Map(
    writeErrorsOf(error).map(({ index, errmsg, code }) => [
      index,
      new MongoBulkWriteError({ message: errmsg ?? "", code }, error.result),
    ]),
  );
}

function writeErrorsOf(error: MongoBulkWriteError) {
  return [error.writeErrors].flat();
}

/** Asks the database which of the documents it has. */
async function notStored<Stored extends Document & { _id: string }>(
  collection: Collection<Stored>,
  documents: readonly Stored[],
  error: unknown,
): Promise<Map<number, unknown>> {
  const stored = new Set<string>();
  try {
    const ids = documents.map(({ _id }) => _id);
    const found = collection.find({ _id: { $in: ids } } as never).project<{ _id: string }>({ _id: 1 });
    for await (const { _id } of found) stored.add(_id);
  } catch {
    // Then nothing is known of any of them.
  }
  return new Map(documents.flatMap(({ _id }, index) => (stored.has(_id) ? [] : [[index, error] as const])));
}
