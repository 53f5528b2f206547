import { setTimeout as delay } from "node:timers/promises";
import { type Logger, recordsTraces } from "@shop/core";
import { MongoClient } from "mongodb";
import { recordCommandSpans } from "./command-spans.ts";

/** How long a command waits for a primary before it fails as unavailable. */
const serverSelectionTimeoutMs = 5_000;

/**
 * Connects to MongoDB, waiting for it until `signal` fires. Writes are acknowledged by a majority with the journal on disk, and
 * reads see only majority-committed data: nothing that a caller saw can be rolled back.
 */
export async function connectMongo(
  uri: string,
  appName: string,
  log: Logger,
  signal: AbortSignal,
): Promise<MongoClient> {
  const client = new MongoClient(uri, {
    appName,
    serverSelectionTimeoutMS: serverSelectionTimeoutMs,
    // A hanging server is detected by its heartbeat, after the sum of these two.
    connectTimeoutMS: 3_000,
    heartbeatFrequencyMS: 2_000,
    // Applies while commands wait for a primary.
    minHeartbeatFrequencyMS: 100,
    socketTimeoutMS: 30_000,
    maxPoolSize: 64,
    writeConcern: { w: "majority", journal: true, wtimeoutMS: 10_000 },
    readConcern: { level: "majority" },
    readPreference: "primary",
    ignoreUndefined: true,
    monitorCommands: recordsTraces(),
  });
  if (recordsTraces()) recordCommandSpans(client);
  for (;;) {
    try {
      await client.connect();
      return client;
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ err: error }, "MongoDB is unavailable, retrying");
      await delay(500, undefined, { signal });
    }
  }
}

/** Whether a write would find a primary now. */
export async function canWrite(client: MongoClient): Promise<boolean> {
  try {
    // The driver bounds the command, but not the wait for a connection to a hanging server.
    const tooLate = delay(2_000, undefined, { ref: false });
    const hello = await Promise.race([client.db("admin").command({ hello: 1 }, { timeoutMS: 2_000 }), tooLate]);
    return hello?.isWritablePrimary === true;
  } catch {
    return false;
  }
}
