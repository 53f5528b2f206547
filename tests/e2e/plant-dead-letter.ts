import { create, toBinary } from "@bufbuild/protobuf";
import { jetstream } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";
import { StockReservedSchema } from "@shop/gen/shop/inventory/v1/events_pb";
import { natsServers } from "@shop/messaging";
import { operatorUrls } from "../setup/shop.ts";
import { shop, unique } from "./shopping.ts";

/** Stores an event as a dead letter, as a consumer that gives up does. */
export async function plantDeadLetter(consumer: string): Promise<{ deadLetterId: string }> {
  const connection = await connect(natsServers(operatorUrls(shop.dataDir).NATS_URL));
  const deadLetterHeaders = headers();
  deadLetterHeaders.set("Dead-Letter-Reason", "Error: planted");
  deadLetterHeaders.set("Dead-Letter-Consumer", consumer);
  deadLetterHeaders.set("Dead-Letter-Event-Id", unique("event"));
  deadLetterHeaders.set("Dead-Letter-Subject", StockReservedSchema.typeName);
  const event = toBinary(
    StockReservedSchema,
    create(StockReservedSchema, { orderId: "order_01h455vb4pex5vsknk084sn02q" }),
  );
  const { seq } = await jetstream(connection).publish(`dead-letters.${consumer}`, event, {
    headers: deadLetterHeaders,
  });
  await connection.close();
  return { deadLetterId: String(seq) };
}
