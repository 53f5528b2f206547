import { createBatcher } from "@shop/core";
import { type Collection, type Document, MongoBulkWriteError, type OptionalUnlessRequiredId } from "mongodb";

/**
 * Inserts documents in batches of up to 256: those that arrive together or during the previous batch. Each caller gets the
 * result of its own document: resolves when a majority has it in its journal, and rejects with the duplicate key error that
 * this document caused. With any other error it is unknown whether the document is stored: retry with the same _id.
 */
export function createGroupCommit<Stored extends Document & { _id: string }>(
  collection: Collection<Stored>,
): (document: Stored) => Promise<void> {
  return createBatcher({
    name: `insert together ${collection.collectionName}`,
    maxItems: 256,
    maxInFlight: 1,
    async work(documents: readonly Stored[]) {
      try {
        await collection.insertMany(documents as unknown as OptionalUnlessRequiredId<Stored>[], { ordered: false });
        return new Map();
      } catch (error) {
        return hasResultOfEach(error) ? errorsOfEach(error) : await notStored(collection, documents, error);
      }
    },
  });
}

/**
 * Whether the error has a result for each document. After a network error `writeErrors` is empty, not absent; and documents
 * written without their write concern may still be rolled back.
 */
function hasResultOfEach(error: unknown): error is MongoBulkWriteError {
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

/** Reads back which of the documents are stored. Returns the error for all others. */
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
    // Then all of them count as not stored.
  }
  return new Map(documents.flatMap(({ _id }, index) => (stored.has(_id) ? [] : [[index, error] as const])));
}
