import { create } from "@bufbuild/protobuf";
import { CreateStreamTicketRequestSchema } from "@shop/gen/shop/users/v1/user_service_pb";
import { expect, test } from "vitest";
import { userContext } from "../testing/open-test-users.ts";
import { createStreamTicket } from "./create-stream-ticket.ts";

test("a path that is not a stream gets no ticket", async () => {
  const tokenKeys = {
    get signing(): never {
      throw new Error("a ticket is signed");
    },
  } as unknown as Parameters<typeof createStreamTicket>[0]["tokenKeys"];
  const ask = (path: string) =>
    createStreamTicket({ tokenKeys, isStream: (asked) => asked === "/stream", clock: () => new Date() })(
      create(CreateStreamTicketRequestSchema, { path }),
      userContext({ userId: "user_1", sessionId: "session_1" }),
    );
  await expect(ask("/stream")).rejects.toThrow("a ticket is signed");
  await expect(ask("/orders")).rejects.toMatchObject({
    reason: "INVALID_FIELDS",
    facts: { violations: [{ field: "path", description: expect.stringContaining("must be the path of a stream") }] },
  });
});
