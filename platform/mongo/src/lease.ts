import type { Lease } from "@shop/core";
import type { Db } from "mongodb";
import { isDuplicateKey } from "./duplicate-key.ts";

interface LeaseDocument {
  _id: string;
  holder: string;
  expire_time: Date;
}

/** A lease with a TTL in milliseconds of the database's clock, stored in the collection `leases`. */
export function createLease(db: Db, name: string, holder: string, ttlMs: number): Lease {
  const leases = db.collection<LeaseDocument>("leases");
  return {
    async acquire() {
      const mayTake = {
        $or: [{ $eq: ["$holder", { $literal: holder }] }, { $lte: [{ $ifNull: ["$expire_time", "$$NOW"] }, "$$NOW"] }],
      };
      try {
        const lease = await leases.findOneAndUpdate(
          { _id: name },
          [
            {
              $set: {
                holder: { $cond: [mayTake, { $literal: holder }, "$holder"] },
                expire_time: { $cond: [mayTake, { $add: ["$$NOW", ttlMs] }, "$expire_time"] },
              },
            },
          ],
          { upsert: true, returnDocument: "after" },
        );
        return lease?.holder === holder;
      } catch (error) {
        // If two processes create the lease at the same time, one of them gets a duplicate key.
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },
    async release() {
      await leases.deleteOne({ _id: name, holder });
    },
  };
}
