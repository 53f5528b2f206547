import { fromBinary, type JsonObject, type MessageInitShape, type Registry, toJson } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import { cutPage, DomainError, defaultPageSize, type Logger, type PageTokens } from "@shop/core";
import type { DeadLetterSchema, DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import type { Bus } from "./bus/bus.ts";
import {
  type DeadLetter,
  findDeadLetter,
  listDeadLetters,
  redriveDeadLetter,
  removeDeadLetter,
} from "./bus/dead-letters.ts";

/**
 * DeadLetterService for the dead letters of every service, for administrators. `events` has the types whose payload can be
 * shown as JSON.
 */
export function deadLetterService(on: {
  readonly bus: Bus;
  readonly pageTokens: PageTokens;
  readonly events: Registry;
  readonly log: Logger;
}): ServiceImpl<typeof DeadLetterService> {
  async function find(deadLetterId: string): Promise<DeadLetter> {
    const letter = await findDeadLetter(on.bus, Number(deadLetterId));
    if (letter === undefined) throw notFound(deadLetterId);
    return letter;
  }

  return {
    async listDeadLetters({ consumer, pageSize, pageToken }) {
      const query = ["ListDeadLetters", consumer];
      const limit = pageSize || defaultPageSize;
      const from = pageToken === "" ? 1 : on.pageTokens.open<number>(pageToken, query);
      const letters = await listDeadLetters(on.bus, consumer || undefined, from, limit + 1);
      const { page, last } = cutPage(letters, limit);
      return {
        deadLetters: page.map(toMessage),
        nextPageToken: last === undefined ? "" : on.pageTokens.seal(last.sequence + 1, query),
      };
    },

    async getDeadLetter({ deadLetterId }) {
      const letter = await find(deadLetterId);
      const event = eventOf(letter, on.events);
      return {
        deadLetter: { ...toMessage(letter), payload: letter.payload, ...(event === undefined ? {} : { event }) },
      };
    },

    async redriveDeadLetter({ deadLetterId }, context) {
      const letter = await find(deadLetterId);
      await redriveDeadLetter(on.bus, letter);
      const { consumer, eventId } = letter;
      on.log.info({ consumer, event: eventId, actor: actorOf(callerOf(context)) }, "a dead letter was redriven");
      return {};
    },

    async deleteDeadLetter({ deadLetterId }, context) {
      if (!(await removeDeadLetter(on.bus, Number(deadLetterId)))) throw notFound(deadLetterId);
      on.log.info({ dead_letter: deadLetterId, actor: actorOf(callerOf(context)) }, "a dead letter was thrown away");
      return {};
    },
  };
}

function toMessage(letter: DeadLetter): MessageInitShape<typeof DeadLetterSchema> {
  return {
    deadLetterId: String(letter.sequence),
    consumer: letter.consumer,
    reason: letter.reason,
    eventId: letter.eventId,
    eventType: letter.type,
    createTime: timestampFromDate(letter.time),
    redriveCount: letter.redrives,
  };
}

/**
 * Undefined if the payload does not decode, which is the most likely reason for a dead letter: then only its bytes are shown.
 */
function eventOf({ type, payload }: DeadLetter, events: Registry): JsonObject | undefined {
  const schema = events.getMessage(type);
  if (schema === undefined) return undefined;
  try {
    return toJson(schema, fromBinary(schema, payload), { registry: events }) as JsonObject;
  } catch {
    return undefined;
  }
}

function notFound(deadLetterId: string): DomainError {
  return new DomainError("not_found", "DEAD_LETTER_NOT_FOUND", "there is no such dead letter", {
    metadata: { dead_letter_id: deadLetterId },
  });
}
