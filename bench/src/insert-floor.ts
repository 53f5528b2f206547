import { MongoClient } from "mongodb";
import { runPart, taskOf } from "./part.ts";
import { repeat } from "./repeat.ts";

interface InsertTask {
  readonly mongoUrl: string;
  /** Concurrent inserts. */
  readonly concurrency: number;
  readonly seconds: number;
}

export interface InsertResult {
  readonly perSecond: number;
  readonly cpuPerInsertUs: number;
}

/** The rate of the database when every order is a separate insert, acknowledged by a majority with its journal on disk. */
export async function insertFloor(task: InsertTask): Promise<InsertResult> {
  return await runPart<InsertResult>("inserts", task);
}

/** The process that only inserts. */
export async function insertOrders(): Promise<void> {
  const { mongoUrl, concurrency, seconds } = await taskOf<InsertTask>();
  const client = await MongoClient.connect(mongoUrl, {
    maxPoolSize: concurrency,
    writeConcern: { w: "majority", journal: true },
  });
  const orders = client.db("bench").collection("orders");
  const cpuBefore = process.cpuUsage();
  const inserts = await repeat(() => orders.insertOne(orderLike()), { atOnce: concurrency, seconds });
  const cpu = process.cpuUsage(cpuBefore);
  await orders.drop();
  await client.close();
  process.send!({ perSecond: inserts.perSecond, cpuPerInsertUs: (cpu.user + cpu.system) / inserts.times });
}

/** As large as an order of one line. */
function orderLike() {
  const price = { currency_code: "EUR", minor_units: 1290n };
  const now = new Date();
  return {
    user_id: crypto.randomUUID(),
    status: "pending",
    status_reason: "",
    items: [{ product_id: crypto.randomUUID(), name: "Bench 1", quantity: 1, unit_price: price }],
    total: price,
    version: 1,
    create_time: now,
    update_time: now,
  };
}
