import { currentTrace, SpanKind, type SpanOptions, startSpan, type Trace } from "@shop/core";
import type { CommandStartedEvent, MongoClient } from "mongodb";

/**
 * Records a span per command of sampled work, by OpenTelemetry's conventions for databases. Spans have no values of the command,
 * since those are the shop's data. The client needs `monitorCommands`.
 */
export function recordCommandSpans(client: MongoClient): void {
  /** By request id, which is unique in a process. */
  const started = new Map<number, Trace>();
  // The driver emits these events in the asynchronous context of the operation.
  client.on("commandStarted", (event) => {
    if (!currentTrace()?.isRecorded) return;
    const span = startSpan(...spanOf(event));
    if (span !== undefined) started.set(event.requestId, span);
  });
  client.on("commandSucceeded", ({ requestId }) => end(requestId));
  client.on("commandFailed", ({ requestId, failure }) => end(requestId, failure));

  function end(requestId: number, error?: unknown): void {
    started.get(requestId)?.end(error);
    started.delete(requestId);
  }
}

function spanOf({ commandName, command, databaseName, address }: CommandStartedEvent): [string, SpanOptions] {
  // The first field of a command names its collection; that of getMore is a cursor.
  const target = commandName === "getMore" ? command.collection : command[commandName];
  const collection = typeof target === "string" ? target : undefined;
  const statements = command.documents ?? command.updates ?? command.deletes;
  const [host, port] = address.split(/:(?=\d+$)/);
  return [
    collection === undefined ? `${commandName} ${databaseName}` : `${commandName} ${collection}`,
    {
      kind: SpanKind.CLIENT,
      attributes: {
        "db.system.name": "mongodb",
        "db.namespace": databaseName,
        "db.operation.name": commandName,
        ...(collection !== undefined && { "db.collection.name": collection }),
        ...(statements?.length > 1 && { "db.operation.batch.size": statements.length }),
        ...(host !== undefined && { "server.address": host }),
        ...(port !== undefined && { "server.port": Number(port) }),
      },
    },
  ];
}
