import { create } from "@bufbuild/protobuf";
import { RegisterRequestSchema } from "@shop/gen/shop/users/v1/user_service_pb";
import { contextOf } from "@shop/runtime/testing";
import { processNames } from "@shop/topology";
import { expect, test } from "vitest";
import { openTestUsers } from "../testing/open-test-users.ts";
import { register } from "./register.ts";

test("names of services, which occur as actors in records, can't be registered", async () => {
  const on = await openTestUsers();
  for (const username of processNames.flatMap((name) => [name, `${name}-1`])) {
    const request = create(RegisterRequestSchema, { username, password: "correct horse battery" });
    const refused = register(on)(request, contextOf({ kind: "anonymous" }));
    await expect(refused, username).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
  }
});
