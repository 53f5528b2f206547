import { newId, oneAtATime } from "@shop/core";
import { batched, type Outbox, type PendingEvent } from "@shop/messaging";
import { isDuplicateKey } from "@shop/mongo";
import { storedRequestIds } from "@shop/rpc-server";
import { type Collection, type Db, MongoBulkWriteError, type MongoClient } from "mongodb";
import type { LedgerEntry, LedgerStore } from "../../application/ports/ledger-store.ts";
import { skuTaken } from "../../domain/errors.ts";
import {
  type Closing,
  type Decision,
  type EntryKind,
  type Move,
  type Movement,
  ordersByProduct,
} from "../../domain/ledger.ts";
import type { Product, ProductRevision } from "../../domain/product.ts";
import { type ProductDocument, toDocument } from "./product-document.ts";
import { isSkuTaken, refuseTwins } from "./sku-keys.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** An entry of the ledger. Only its outbox ever changes. */
export interface LedgerEntryDocument {
  _id: string;
  kind: EntryKind;
  /**
   * `<product>:<sequence>` of each move and `<order>:<step>` of each step. Unique over all entries, which makes an insert a
   * compare-and-set over everything it touches, without a transaction.
   */
  keys: string[];
  moves: { product_id: string; sequence: number; on_hand_delta: number; reserved_delta: number }[];
  decisions: {
    order_id: string;
    outcome: Decision["outcome"];
    lines: { product_id: string; quantity: number }[];
    reason?: string;
  }[];
  closings: { order_id: string; outcome: Closing["outcome"] }[];
  /** The orders of each product, so that a page of movements need not read up to a thousand decisions per entry. */
  served?: { product_id: string; order_ids: string[] }[];
  /** A user's id, or the name of a service. */
  actor: string;
  /** The reason that an administrator gave for an adjustment. */
  reason?: string;
  create_time: Date;
  outbox: PendingEvent[];
}

/** An entry reduced to one product: one move, and the product's orders unless an earlier release wrote the entry. */
type MovementDocument = Pick<
  LedgerEntryDocument,
  "_id" | "kind" | "moves" | "served" | "actor" | "reason" | "create_time"
>;
// A unique index does not compare the keys within one document; the validator does.
const validator = {
  $jsonSchema: {
    required: ["keys"],
    properties: { keys: { bsonType: "array", minItems: 1, uniqueItems: true, items: { bsonType: "string" } } },
  },
};

/** Opens the collection, with its index and validator. */
export async function openLedger(db: Db): Promise<Collection<LedgerEntryDocument>> {
  const exists = (await db.listCollections({ name: "ledger" }).toArray()).length > 0;
  if (exists) await db.command({ collMod: "ledger", validator });
  else
    await db.createCollection("ledger", { validator }).catch((error) => {
      // Another replica created it first.
      if (error.codeName !== "NamespaceExists") throw error;
    });
  const ledger = db.collection<LedgerEntryDocument>("ledger");
  await ledger.createIndex({ keys: 1 }, { name: "keys", unique: true });
  return ledger;
}

export function createLedgerStore(on: {
  readonly client: MongoClient;
  readonly ledger: Collection<LedgerEntryDocument>;
  readonly products: Collection<ProductDocument>;
  readonly vocabulary: Pick<Vocabulary, "learn">;
  readonly outbox: Outbox;
  /** Called after a projection, and awaited before the events are published, so that a consumer never reads an older balance. */
  moved(products: readonly ProductRevision[]): Promise<void>;
}): LedgerStore {
  const { client, ledger, products, vocabulary, outbox } = on;

  /**
   * Applies moves, one for each product, to the balances whose sequence is the one before, and returns the number of those. One command
   * with a lookup table: a statement for each product costs the database nearly three times as much.
   */
  async function project(moves: readonly LedgerEntryDocument["moves"][number][]): Promise<number> {
    if (moves.length === 0) return 0;
    const productIds = moves.map((move) => move.product_id);
    const move = { $arrayElemAt: [{ $literal: moves }, { $indexOfArray: [{ $literal: productIds }, "$_id"] }] };
    const moved = {
      on_hand: { $add: ["$balance.on_hand", "$$move.on_hand_delta"] },
      reserved: { $add: ["$balance.reserved", "$$move.reserved_delta"] },
      sequence: "$$move.sequence",
    };
    const isNext = { $eq: [{ $add: ["$balance.sequence", 1] }, "$$move.sequence"] };
    // $set writes only these fields; $replaceWith would decode the whole document, and a product is large.
    const { modifiedCount } = await products.updateMany({ _id: { $in: productIds } }, [
      { $set: { balance: { $let: { vars: { move }, in: { $cond: [isNext, moved, "$balance"] } } } } },
      { $set: { in_stock: { $gt: ["$balance.on_hand", "$balance.reserved"] } } },
    ]);
    return modifiedCount;
  }

  async function catchUp(productIds: readonly string[]): Promise<void> {
    const changed = new Map<string, ProductRevision>();
    let behind = productIds;
    while (behind.length > 0) {
      const known = await products
        .find({ _id: { $in: [...behind] } })
        .project<{ _id: string; version: number; balance: { sequence: number } }>({ version: 1, "balance.sequence": 1 })
        .toArray();
      for (const { _id, version, balance } of known)
        changed.set(_id, { productId: _id, version, sequence: balance.sequence });
      const next = new Set(known.map(({ _id, balance }) => moveKey(_id, balance.sequence + 1)));
      const entries = await ledger
        .find({ keys: { $in: [...next] } })
        .project<Pick<LedgerEntryDocument, "moves">>({ moves: 1 })
        .toArray();
      const moves = entries
        .flatMap((entry) => entry.moves)
        .filter((move) => next.has(moveKey(move.product_id, move.sequence)));
      await project(moves);
      behind = moves.map((move) => move.product_id);
    }
    await on.moved([...changed.values()]);
  }

  /** A product's orders in entries of earlier releases, which lack `served`: those with a line of it, and all orders that were closed. */
  async function ordersInEarlier(
    productId: string,
    entries: readonly Pick<LedgerEntryDocument, "_id">[],
  ): Promise<ReadonlyMap<string, string[]>> {
    if (entries.length === 0) return new Map();
    const documents = await ledger
      .find({ _id: { $in: entries.map(({ _id }) => _id) } })
      .project<Pick<LedgerEntryDocument, "_id" | "decisions" | "closings">>({ decisions: 1, closings: 1 })
      .toArray();
    return new Map(
      documents.map(({ _id, decisions, closings }) => {
        const decided = decisions.filter(({ lines }) => lines.some(({ product_id }) => product_id === productId));
        return [_id, [...decided, ...closings].map(({ order_id }) => order_id)];
      }),
    );
  }

  return {
    inTurn: oneAtATime(),

    async append(entry) {
      const document = toEntryDocument(entry);
      try {
        await ledger.insertOne(document);
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
      const productIds = document.moves.map((move) => move.product_id);
      const moved = document.moves.map(({ product_id, sequence }) => ({ productId: product_id, version: 0, sequence }));
      const projected = await project(document.moves);
      const upToDate = projected === productIds.length ? on.moved(moved) : catchUp(productIds);
      // The next entry does not wait for this.
      void upToDate.then(
        () => outbox.relay(document._id, document.outbox),
        () => {
          // The sweeper catches up, and publishes.
        },
      );
      return true;
    },

    async insertProducts(added, actor, key) {
      const [first] = added;
      if (first === undefined) return "inserted";
      const received = toEntryDocument({
        kind: "received",
        plan: {
          moves: added.map(({ productId, balance: { onHand, sequence } }) => {
            return { productId, sequence, onHandDelta: onHand, reservedDelta: 0 };
          }),
          decisions: [],
          closings: [],
        },
        events: [],
        actor,
        time: first.createTime,
      });
      await refuseTwins(products, skusOf(added));
      await vocabulary.learn(added.map(({ details }) => details));
      try {
        await client.withSession((session) =>
          session.withTransaction(async () => {
            await products.insertMany(
              added.map((product) => ({ ...toDocument(product), ...(key && { request: key }) })),
              {
                session,
              },
            );
            await ledger.insertOne(received, { session });
          }),
        );
        return "inserted";
      } catch (error) {
        if (isDuplicateKey(error, "request")) return "request_made";
        if (isSkuTaken(error)) throw skuTaken(takenSku(error, added) ?? "");
        throw error;
      }
    },

    async decisionsOf(orderIds) {
      const wanted = new Set(orderIds);
      const entries = await ledger
        .find({ keys: { $in: orderIds.map((orderId) => stepKey(orderId, "decision")) } })
        .project<Pick<LedgerEntryDocument, "decisions">>({ decisions: 1 })
        .toArray();
      return new Map(
        entries
          .flatMap((entry) => entry.decisions)
          .filter((decision) => wanted.has(decision.order_id))
          .map((decision) => [decision.order_id, toDecision(decision)]),
      );
    },

    async closingsOf(orderIds) {
      const wanted = new Set(orderIds);
      const entries = await ledger
        .find({ keys: { $in: orderIds.flatMap((orderId) => [stepKey(orderId, "close"), stepKey(orderId, "return")]) } })
        .project<Pick<LedgerEntryDocument, "closings">>({ closings: 1 })
        .toArray();
      const closings = entries.flatMap((entry) => entry.closings).filter(({ order_id }) => wanted.has(order_id));
      const byOrder = Map.groupBy(closings, ({ order_id }) => order_id);
      return new Map(
        [...byOrder].map(([orderId, taken]) => [orderId, new Set(taken.map(({ outcome }) => outcome))] as const),
      );
    },

    async movementsOf(productId, sequence, limit) {
      const sequences = Array.from({ length: Math.min(limit, sequence) }, (_, index) => sequence - index);
      const ofProduct = { $elemMatch: { product_id: productId } };
      const entries = await ledger
        .find({ keys: { $in: sequences.map((number) => moveKey(productId, number)) } })
        .project<MovementDocument>({
          kind: 1,
          actor: 1,
          reason: 1,
          create_time: 1,
          moves: ofProduct,
          served: ofProduct,
        })
        .toArray();
      const earlier = entries.filter(({ kind, served }) => served === undefined && !isWithoutOrders.has(kind));
      const served = await ordersInEarlier(productId, earlier);
      return entries
        .map((entry) => toMovement(entry, entry.served?.[0]?.order_ids ?? served.get(entry._id) ?? []))
        .sort((a, b) => b.move.sequence - a.move.sequence);
    },

    async findAdjustment(productId, requestId) {
      const entry = await ledger.findOne({
        keys: { $in: storedRequestIds(requestId).map((id) => requestKey(productId, id)) },
      });
      return entry?.moves[0]?.on_hand_delta;
    },

    catchUp,
  };
}

function toEntryDocument({ kind, plan, events, actor, reason, requestId, time }: LedgerEntry): LedgerEntryDocument {
  return {
    _id: newId("entry"),
    kind,
    keys: [
      ...plan.moves.map((move) => moveKey(move.productId, move.sequence)),
      ...plan.decisions.map(({ orderId }) => stepKey(orderId, "decision")),
      ...plan.closings.map(({ orderId, outcome }) => stepKey(orderId, outcome === "returned" ? "return" : "close")),
      ...(requestId === undefined ? [] : plan.moves.map(({ productId }) => requestKey(productId, requestId))),
    ],
    moves: plan.moves.map(toMoveDocument),
    decisions: plan.decisions.map(({ orderId, outcome, lines, reason }) => ({
      order_id: orderId,
      outcome,
      lines: lines.map(({ productId, quantity }) => ({ product_id: productId, quantity })),
      ...(reason === undefined ? {} : { reason }),
    })),
    closings: plan.closings.map(({ orderId, outcome }) => ({ order_id: orderId, outcome })),
    ...(plan.decisions.length + plan.closings.length === 0
      ? {}
      : { served: Array.from(ordersByProduct(plan), ([product_id, order_ids]) => ({ product_id, order_ids })) }),
    actor,
    ...(reason === undefined ? {} : { reason }),
    create_time: time,
    outbox: batched(events),
  };
}

const isWithoutOrders: ReadonlySet<EntryKind> = new Set(["received", "adjusted"]);

function toMovement(entry: MovementDocument, orderIds: readonly string[]): Movement {
  const { kind, moves, actor, reason = "", create_time } = entry;
  const move = moves[0]!;
  return {
    kind,
    move: {
      productId: move.product_id,
      sequence: move.sequence,
      onHandDelta: move.on_hand_delta,
      reservedDelta: move.reserved_delta,
    },
    orderIds,
    actor,
    reason,
    time: create_time,
  };
}

function toMoveDocument(move: Move): LedgerEntryDocument["moves"][number] {
  return {
    product_id: move.productId,
    sequence: move.sequence,
    on_hand_delta: move.onHandDelta,
    reserved_delta: move.reservedDelta,
  };
}

function toDecision({ order_id, outcome, lines, reason }: LedgerEntryDocument["decisions"][number]): Decision {
  return {
    orderId: order_id,
    outcome,
    lines: lines.map(({ product_id, quantity }) => ({ productId: product_id, quantity })),
    ...(reason === undefined ? {} : { reason }),
  };
}

export function moveKey(productId: string, sequence: number): string {
  return `${productId}:${sequence}`;
}

function requestKey(productId: string, requestId: string): string {
  return `${productId}:request:${requestId}`;
}

function stepKey(orderId: string, step: "decision" | "close" | "return"): string {
  return `${orderId}:${step}`;
}

/** The SKU of the product that could not be inserted. */
function takenSku(error: unknown, added: readonly Product[]): string | undefined {
  const [failed] = error instanceof MongoBulkWriteError ? [error.writeErrors].flat() : [];
  return added[failed?.index ?? 0]?.details.sku;
}

function skusOf(products: readonly Product[]): string[] {
  return products.flatMap(({ details: { sku } }) => (sku === undefined ? [] : [sku]));
}
