import type { JsonObject } from "@bufbuild/protobuf";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { expect } from "vitest";
import { notFound, type ServiceContract, time, unique, unknown } from "../../../tests/contract.ts";

/** Fixtures of the cases. */
export interface DeadLettersWorld {
  /** Stores a StockReserved for an unknown order as a dead letter of this consumer, and returns it without its payload. */
  newDeadLetter(consumer: string): Promise<JsonObject & { readonly deadLetterId: string }>;
}
type World = DeadLettersWorld;

const noLetter = "999999999999999";

/** The contract of each method of DeadLetterService. */
export const contract: ServiceContract<typeof DeadLetterService, World> = {
  service: DeadLetterService,
  methods: {
    listDeadLetters: {
      access: "ADMIN",
      rest: (query) => ({ verb: "GET", path: "/admin/dead-letters", query }),
      invalid: { pageSize: -1 },
      cases: [
        {
          as: "admin",
          says: "lists the dead letters of one consumer",
          request: async (world) => {
            const consumer = unique("row");
            await world.newDeadLetter(consumer);
            return { consumer };
          },
          answers: (_, { consumer }) => ({
            deadLetters: [
              {
                deadLetterId: expect.stringMatching(/^[1-9]\d*$/),
                consumer: consumer!,
                reason: "Error: planted",
                eventId: expect.any(String),
                eventType: "shop.inventory.v1.StockReserved",
                createTime: time,
              },
            ],
          }),
        },
      ],
      examples: [
        {
          step: 510,
          name: "lists-a-consumers",
          summary: "The dead letters of one consumer",
          as: "admin",
          request: {
            consumer: "a-consumer",
            page_size: 10,
          },
          answer: {
            dead_letters: [
              {
                dead_letter_id: "104",
                consumer: "a-consumer",
                reason: "Error: planted",
                event_id: "event-69242f18db24",
                event_type: "shop.inventory.v1.StockReserved",
                create_time: "2026-11-23T08:12:17.696Z",
                redrive_count: 0,
                payload: "",
              },
            ],
            next_page_token: "",
          },
        },
      ],
    },
    getDeadLetter: {
      access: "ADMIN",
      rest: ({ dead_letter_id }) => ({
        verb: "GET",
        path: `/admin/dead-letters/${dead_letter_id}`,
        answers: "dead_letter",
      }),
      invalid: { deadLetterId: "none" },
      cases: [
        {
          as: "admin",
          says: "shows the event",
          request: async (world) => ({ deadLetterId: (await world.newDeadLetter("no-such-consumer")).deadLetterId }),
          answers: (_, { deadLetterId }) => ({
            deadLetter: {
              deadLetterId: deadLetterId!,
              consumer: "no-such-consumer",
              reason: "Error: planted",
              eventId: expect.any(String),
              eventType: "shop.inventory.v1.StockReserved",
              createTime: time,
              payload: expect.stringMatching(/^[\w+/]+=*$/),
              event: { orderId: unknown("order") },
            },
          }),
        },
        {
          as: "admin",
          says: "does not find a deleted one",
          request: () => ({ deadLetterId: noLetter }),
          refuses: notFound("DEAD_LETTER_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 520,
          name: "reads-dead-letter",
          summary: "An event that could not be handled",
          as: "admin",
          request: {
            dead_letter_id: "104",
          },
          answer: {
            dead_letter_id: "104",
            consumer: "a-consumer",
            reason: "Error: planted",
            event_id: "event-69242f18db24",
            event_type: "shop.inventory.v1.StockReserved",
            create_time: "2026-11-23T08:12:17.696Z",
            redrive_count: 0,
            payload: "CiBvcmRlcl8wMWg0NTV2YjRwZXg1dnNrbmswODRzbjAycQ==",
            event: {
              orderId: "order_01h455vb4pex5vsknk084sn02q",
            },
          },
        },
      ],
    },
    redriveDeadLetter: {
      access: "ADMIN",
      rest: ({ dead_letter_id, ...body }) => ({
        verb: "POST",
        path: `/admin/dead-letters/${dead_letter_id}:redrive`,
        body,
      }),
      invalid: { deadLetterId: "none" },
      cases: [
        {
          as: "admin",
          says: "delivers it again",
          request: async (world) => ({
            deadLetterId: (await world.newDeadLetter("orders-stock-reserved")).deadLetterId,
          }),
          answers: () => ({}),
        },
        {
          as: "admin",
          says: "refuses an event that its consumer no longer consumes",
          request: async (world) => ({ deadLetterId: (await world.newDeadLetter("no-such-consumer")).deadLetterId }),
          refuses: { code: "FailedPrecondition", reason: "DEAD_LETTER_UNHEARD" },
        },
        {
          as: "admin",
          says: "does not find a deleted one",
          request: () => ({ deadLetterId: noLetter }),
          refuses: notFound("DEAD_LETTER_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 530,
          name: "not-consumed",
          summary: "The consumer no longer exists",
          as: "admin",
          request: {
            dead_letter_id: "104",
          },
          status: 400,
          answer: {
            code: 9,
            message: "a-consumer no longer consumes shop.inventory.v1.StockReserved",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "DEAD_LETTER_UNHEARD",
                domain: "shop.common.v1",
                metadata: {
                  consumer: "a-consumer",
                  event_type: "shop.inventory.v1.StockReserved",
                },
              },
            ],
          },
        },
        {
          step: 540,
          name: "redrives",
          summary: "Delivers it again",
          as: "admin",
          request: {
            dead_letter_id: "107",
          },
          answer: {},
        },
      ],
    },
    deleteDeadLetter: {
      access: "ADMIN",
      rest: ({ dead_letter_id }) => ({
        verb: "DELETE",
        path: `/admin/dead-letters/${dead_letter_id}`,
      }),
      invalid: { deadLetterId: "none" },
      cases: [
        {
          as: "admin",
          says: "deletes it",
          request: async (world) => ({ deadLetterId: (await world.newDeadLetter("no-such-consumer")).deadLetterId }),
          answers: () => ({}),
        },
        {
          as: "admin",
          says: "does not find a deleted one",
          request: () => ({ deadLetterId: noLetter }),
          refuses: notFound("DEAD_LETTER_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 550,
          name: "deletes-dead-letter",
          summary: "Deletes it",
          as: "admin",
          request: {
            dead_letter_id: "104",
          },
          answer: {},
        },
        {
          step: 560,
          name: "deleted-already",
          summary: "It was deleted before",
          as: "admin",
          request: {
            dead_letter_id: "104",
          },
          status: 404,
          answer: {
            code: 5,
            message: "there is no such dead letter",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "DEAD_LETTER_NOT_FOUND",
                domain: "shop.common.v1",
                metadata: {
                  dead_letter_id: "104",
                },
              },
            ],
          },
        },
      ],
    },
  },
};
