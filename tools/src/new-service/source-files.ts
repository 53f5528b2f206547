import { dependenciesOf } from "./dependencies.ts";
import type { NewService } from "./names.ts";

/** The files of a new service, in the layers of docs/architecture.md. */
export function sourceFiles(service: NewService): Readonly<Record<string, string>> {
  const { name, one } = service;
  const files = {
    "package.json": manifest(service),
    "README.md": readme(service),
    [`contract/${name}.ts`]: contract(service),
    "src/main.ts": main(service),
    "src/service.ts": composition(service),
    "src/config.ts": config(service),
    [`src/rpc/create-${one}.ts`]: rpc(service),
    [`src/rpc/create-${one}.integration.test.ts`]: rpcTest(service),
    "src/events/user-deleted.ts": userDeleted(service),
    "src/events/user-deleted.integration.test.ts": userDeletedTest(service),
    [`src/domain/${one}.ts`]: domain(service),
    [`src/domain/${one}.test.ts`]: domainTest(service),
    [`src/application/ports/${one}-store.ts`]: storePort(service),
    [`src/adapters/mongo/${one}-store.ts`]: store(service),
    [`src/adapters/proto/${one}.ts`]: message(service),
    "src/adapters/proto/events.ts": events(service),
    [`src/testing/open-test-${name}.ts`]: testing(service),
  };
  return Object.fromEntries(Object.entries(files).map(([file, text]) => [`services/${name}/${file}`, text]));
}

function manifest({ name }: NewService): string {
  const dependencies = dependenciesOf([
    "@bufbuild/protobuf",
    "@connectrpc/connect",
    "@shop/auth",
    "@shop/core",
    "@shop/gen",
    "@shop/messaging",
    "@shop/mongo",
    "@shop/rpc-server",
    "@shop/runtime",
    "@shop/topology",
    "mongodb",
    "zod",
  ]);
  const content = {
    name: `@shop/${name}`,
    // All packages have one version.
    version: dependencies["@shop/core"],
    private: true,
    type: "module",
    engines: { node: ">=24" },
    exports: { ".": "./src/service.ts", "./config": "./src/config.ts" },
    dependencies,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

const readme = ({ name, one, One, port }: NewService) => `# ${name}

**Owns** ${name} (\`${name}\`), in the database \`${name}\`.

**Answers**, on port ${port} and through the gateway:

| method | REST | who |
|---|---|---|
| \`${One}Service.Create${One}\` | \`POST /${name}\` | a signed-in user |

**Publishes** ${One}Created. **Consumes** UserDeleted: the ${name} of the account are deleted.

What it keeps true: one request, named by \`request_id\` or \`Idempotency-Key\`, creates one ${one}, by a unique index.

**When a dependency is down**: without MongoDB calls fail as UNAVAILABLE, and events are consumed later; without NATS ${name} are
created, and their events published later; without Redis it works as before; without users, tokens whose key it does not know are
refused.
`;

const main = ({ name }: NewService) => `import { run } from "@shop/runtime";
import { ${name} } from "./service.ts";

await run([${name}]);
`;

const config = ({ name }: NewService) => `import { portSetting, urlSettings } from "@shop/topology/settings";
import { z } from "zod";

/** The environment of the ${name} service. */
export const ${name}Config = z.object({
  ...portSetting("${name}"),
  ...urlSettings("users"),
});
`;

const composition = ({
  name,
  one,
  One,
  Name,
}: NewService) => `import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { UserDeletedSchema } from "@shop/gen/shop/users/v1/events_pb";
import { ${One}Service } from "@shop/gen/shop/${name}/v1/${one}_service_pb";
import { eventHandler, openOutbox } from "@shop/messaging";
import { defineModule } from "@shop/runtime";
import { consumerOf } from "@shop/topology";
import { locate } from "@shop/topology/settings";
import { create${One}Store, open${Name} } from "./adapters/mongo/${one}-store.ts";
import { ${name}Config } from "./config.ts";
import { userDeleted } from "./events/user-deleted.ts";
import { create${One} } from "./rpc/create-${one}.ts";

/** Accounts whose ${name} one write deletes. */
const maxBatch = 256;

export const ${name} = defineModule({
  name: "${name}",
  config: ${name}Config,
  implements: [${One}Service],
  forwardedBy: ["gateway"],
  port: (config) => config.${name.toUpperCase()}_PORT,
  upstreams: (config) => locate(config, TokenKeyService),
  publishes: "shop.${name}.v1",
  async start({ db, bus, clock, log }) {
    const documents = await open${Name}(db);
    const outbox = await openOutbox(documents, { label: "${name}", bus, log });
    const store = create${One}Store(documents, outbox);
    return {
      routes: (router) =>
        router.service(${One}Service, {
          create${One}: create${One}({ ${name}: store, clock }),
        }),
      handlers: [
        eventHandler({
          ...consumerOf("${name}", UserDeletedSchema),
          maxBatch,
          handle: userDeleted({ ${name}: store }),
        }),
      ],
      outboxes: [outbox.work()],
    };
  },
});
`;

const rpc = ({ name, one, One }: NewService) => `import type { MethodImpl } from "@connectrpc/connect";
import { userIdOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { Create${One}Request, ${One}Service } from "@shop/gen/shop/${name}/v1/${one}_service_pb";
import { requestIdReused, requestUnsettled } from "@shop/rpc-server";
import type { ${One}Store } from "../application/ports/${one}-store.ts";
import { createdEvent } from "../adapters/proto/events.ts";
import { to${One}Message } from "../adapters/proto/${one}.ts";
import { new${One}, type ${One} } from "../domain/${one}.ts";

/** Creates a ${one}. Safe to retry with a request id: the ${one} itself is the claim on the id. */
export function create${One}(on: {
  readonly ${name}: ${One}Store;
  readonly clock: Clock;
}): MethodImpl<typeof ${One}Service.method.create${One}> {
  /** The result of the same earlier request, if any. */
  async function repeated(userId: string, { requestId, name }: Create${One}Request): Promise<${One} | undefined> {
    const created = requestId === "" ? undefined : await on.${name}.findByRequest(userId, requestId);
    if (created !== undefined && created.name !== name) throw requestIdReused(requestId);
    return created;
  }

  async function make(userId: string, { requestId, name }: Create${One}Request): Promise<${One} | undefined> {
    const ${one} = new${One}(userId, name, on.clock());
    const outcome = await on.${name}.insert(${one}, [createdEvent(${one})], requestId || undefined);
    return outcome === "inserted" ? ${one} : undefined;
  }

  return async (request, context) => {
    const userId = userIdOf(context);
    const ${one} =
      (await repeated(userId, request)) ??
      (await make(userId, request)) ??
      // A concurrent repetition of the request was first.
      (await repeated(userId, request));
    if (${one} === undefined) throw requestUnsettled();
    return { ${one}: to${One}Message(${one}) };
  };
}
`;

const userDeleted = ({
  name,
  One,
  one,
}: NewService) => `import type { UserDeleted } from "@shop/gen/shop/users/v1/events_pb";
import type { ${One}Store } from "../application/ports/${one}-store.ts";

/** Deletes the ${name} of deleted accounts. Idempotent. */
export function userDeleted(on: {
  readonly ${name}: ${One}Store;
}): (events: readonly UserDeleted[]) => Promise<void> {
  return async (events) => {
    await on.${name}.removeOf(events.map(({ userId }) => userId));
  };
}
`;

const domain = ({ one, One, name }: NewService) => `import { newId } from "@shop/core";

/** A ${one} of a user. */
export interface ${One} {
  readonly ${one}Id: string;
  readonly userId: string;
  readonly name: string;
  readonly createTime: Date;
}

/** One of the user's ${name}, with a new id. */
export function new${One}(userId: string, name: string, createTime: Date): ${One} {
  return { ${one}Id: newId("${one}"), userId, name, createTime };
}
`;

const domainTest = ({ one, One, name }: NewService) => `import { expect, test } from "vitest";
import { new${One} } from "./${one}.ts";

test("two ${name} of a user have different ids", () => {
  const [first, second] = [new${One}("user_1", "First", new Date(0)), new${One}("user_1", "First", new Date(0))];
  expect(first).toMatchObject({ userId: "user_1", name: "First", createTime: new Date(0) });
  expect(first.${one}Id).toMatch(/^${one}_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
  expect(second.${one}Id).not.toBe(first.${one}Id);
});
`;

const storePort = ({ name, one, One }: NewService) => `import type { PendingEvent } from "@shop/messaging";
import type { ${One} } from "../../domain/${one}.ts";

/** The ${name} of all users. */
export interface ${One}Store {
  /** Commits a new ${one} together with its events; does nothing when its request was made before. */
  insert(
    ${one}: ${One},
    events: readonly PendingEvent[],
    requestId: string | undefined,
  ): Promise<"inserted" | "request_made">;
  /** The ${one} that a user's request created, if any. */
  findByRequest(userId: string, requestId: string): Promise<${One} | undefined>;
  /** Deletes the ${name} of these users. */
  removeOf(userIds: readonly string[]): Promise<void>;
}
`;

const store = ({ name, one, One, Name }: NewService) => `import type { Outbox, WithOutbox } from "@shop/messaging";
import { isDuplicateKey } from "@shop/mongo";
import type { Collection, Db } from "mongodb";
import type { ${One}Store } from "../../application/ports/${one}-store.ts";
import type { ${One} } from "../../domain/${one}.ts";

/** A stored ${one}, with its unpublished events. */
export interface ${One}Document extends WithOutbox {
  readonly user_id: string;
  readonly name: string;
  readonly create_time: Date;
  /** The id of the request that created it, unique per user. */
  readonly request_id?: string;
}

/** The collection, with its indexes. */
export async function open${Name}(db: Db): Promise<Collection<${One}Document>> {
  const documents = db.collection<${One}Document>("${name}");
  await documents.createIndexes([
    { key: { user_id: 1, _id: -1 }, name: "user" },
    // The ${one} is the claim: kept as long as the ${one} itself.
    {
      key: { user_id: 1, request_id: 1 },
      name: "request",
      unique: true,
      partialFilterExpression: { request_id: { $exists: true } },
    },
  ]);
  return documents;
}

export function create${One}Store(documents: Collection<${One}Document>, outbox: Outbox<${One}Document>): ${One}Store {
  return {
    async insert({ ${one}Id, userId, name, createTime }, events, requestId) {
      try {
        await documents.insertOne({
          _id: ${one}Id,
          user_id: userId,
          name,
          create_time: createTime,
          ...(requestId === undefined ? {} : { request_id: requestId }),
          outbox: [...events],
        });
      } catch (error) {
        if (isDuplicateKey(error, "request")) return "request_made";
        throw error;
      }
      void outbox.relay(${one}Id, events);
      return "inserted";
    },
    async findByRequest(userId, requestId) {
      const found = await documents.findOne({ user_id: userId, request_id: requestId });
      return found === null ? undefined : fromDocument(found);
    },
    async removeOf(userIds) {
      await documents.deleteMany({ user_id: { $in: [...userIds] } });
    },
  };
}

function fromDocument({ _id, user_id, name, create_time }: ${One}Document): ${One} {
  return { ${one}Id: _id, userId: user_id, name, createTime: create_time };
}
`;

const message = ({ name, one, One }: NewService) => `import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ${One}Schema } from "@shop/gen/shop/${name}/v1/${one}_service_pb";
import type { ${One} } from "../../domain/${one}.ts";

/** The message of a ${one}. */
export function to${One}Message({ createTime, ...${one} }: ${One}): MessageInitShape<typeof ${One}Schema> {
  return { ...${one}, createTime: timestampFromDate(createTime) };
}
`;

const events = ({ name, one, One }: NewService) => `import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ${One}CreatedSchema } from "@shop/gen/shop/${name}/v1/events_pb";
import { type PendingEvent, pendingEvent } from "@shop/messaging";
import type { ${One} } from "../../domain/${one}.ts";

/** The event of a new ${one}; its document holds it until it is published. */
export function createdEvent({ ${one}Id, userId, createTime }: ${One}): PendingEvent {
  const time = timestampFromDate(createTime);
  return pendingEvent(
    ${One}CreatedSchema,
    { ${one}Id, userId, time },
    { service: "${name}", aggregateId: ${one}Id, version: 1, time: createTime },
  );
}
`;

const testing = ({ name, one, One, Name }: NewService) => `import { openOutbox } from "@shop/messaging";
import { openTestBus, openTestDb, silentLog } from "@shop/runtime/testing";
import { create${One}Store, open${Name} } from "../adapters/mongo/${one}-store.ts";

/** The store of ${name} on its own database. */
export async function openTest${Name}() {
  const [db, bus] = [await openTestDb(), await openTestBus()];
  await bus.ensureStream("${name}", ["shop.${name}.v1.>"]);
  const documents = await open${Name}(db);
  const outbox = await openOutbox(documents, { label: "${name}", bus, log: silentLog });
  return { bus, documents, outbox, ${name}: create${One}Store(documents, outbox), clock: () => new Date() };
}
`;

const rpcTest = ({ name, one, One, Name }: NewService) => `import { create, fromBinary } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import { ${One}CreatedSchema } from "@shop/gen/shop/${name}/v1/events_pb";
import { Create${One}RequestSchema } from "@shop/gen/shop/${name}/v1/${one}_service_pb";
import { absentBus, contextOf, silentLog } from "@shop/runtime/testing";
import { openOutbox } from "@shop/messaging";
import { expect, test } from "vitest";
import { create${One}Store } from "../adapters/mongo/${one}-store.ts";
import { openTest${Name} } from "../testing/open-test-${name}.ts";
import { create${One} } from "./create-${one}.ts";

const callOf = (userId: string) => {
  const [issueTime, expireTime] = [new Date(), new Date()];
  const token = { sessionId: newId("session"), version: 1, issueTime, expireTime };
  return contextOf({ kind: "user", userId, roles: ["customer"], token });
};

test("a ${one} is committed together with its event", async () => {
  const { documents, bus, clock } = await openTest${Name}();
  // An event that can't be published stays in its document.
  const outbox = await openOutbox(documents, { label: "${name}", bus: absentBus(bus), log: silentLog });
  const userId = newId("user");
  const handle = create${One}({ ${name}: create${One}Store(documents, outbox), clock });
  const { ${one} } = await handle(create(Create${One}RequestSchema, { name: "Birthday" }), callOf(userId));
  const stored = await documents.findOne({ _id: ${one}!.${one}Id! });
  expect(stored).toMatchObject({ user_id: userId, name: "Birthday" });
  const [event] = stored!.outbox;
  expect(fromBinary(${One}CreatedSchema, event!.payload.buffer)).toMatchObject({ ${one}Id: ${one}!.${one}Id, userId });
});

test("concurrent repetitions of a request create one ${one} and get the same answer", async () => {
  const { documents, ${name}, clock } = await openTest${Name}();
  const userId = newId("user");
  const request = create(Create${One}RequestSchema, { name: "Birthday", requestId: "first" });
  const handle = create${One}({ ${name}, clock });
  const answers = await Promise.all(Array.from({ length: 8 }, () => handle(request, callOf(userId))));
  expect(new Set(answers.map(({ ${one} }) => ${one}!.${one}Id)).size).toBe(1);
  expect(await documents.countDocuments({ user_id: userId })).toBe(1);
  const another = create(Create${One}RequestSchema, { name: "Wedding", requestId: "first" });
  await expect(handle(another, callOf(userId))).rejects.toMatchObject({ reason: "REQUEST_ID_REUSED" });
});
`;

const userDeletedTest = ({ name, one, One, Name }: NewService) => `import { create } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import { UserDeletedSchema } from "@shop/gen/shop/users/v1/events_pb";
import { expect, test } from "vitest";
import { new${One} } from "../domain/${one}.ts";
import { openTest${Name} } from "../testing/open-test-${name}.ts";
import { userDeleted } from "./user-deleted.ts";

test("${name} of a deleted account are deleted, also by repeated events, and others stay", async () => {
  const { documents, ${name}, clock } = await openTest${Name}();
  const [gone, there] = [newId("user"), newId("user")];
  for (const userId of [gone, gone, there]) await ${name}.insert(new${One}(userId, "Birthday", clock()), [], undefined);
  const handle = userDeleted({ ${name} });
  for (let times = 0; times < 2; times++) await handle([create(UserDeletedSchema, { userId: gone })]);
  expect(await documents.distinct("user_id")).toEqual([there]);
});
`;

const contract = ({
  name,
  one,
  One,
}: NewService) => `import { ${One}Service } from "@shop/gen/shop/${name}/v1/${one}_service_pb";
import { idOf, invalid, type ServiceContract, time, unique } from "../../../tests/contract.ts";

/** The data that exists before the cases run. */
interface World {
  readonly ids: Readonly<Record<"owner", string>>;
}

/** The guarantees of each method of ${One}Service. */
export const contract: ServiceContract<typeof ${One}Service, World> = {
  service: ${One}Service,
  methods: {
    create${One}: {
      access: "AUTHENTICATED",
      rest: (body) => ({ verb: "POST", path: "/${name}", body, answers: "${one}" }),
      invalid: {},
      cases: [
        {
          as: "owner",
          says: "creates one for the caller",
          request: () => ({ name: unique("Birthday") }),
          answers: ({ ids }, { name }) => ({
            ${one}: { ${one}Id: idOf("${one}"), userId: ids.owner, name: name!, createTime: time },
          }),
        },
        {
          as: "owner",
          says: "refuses an empty name",
          request: () => ({ name: "" }),
          refuses: invalid("name"),
        },
      ],
      examples: [
        {
          // While the shopper of the examples is signed in.
          step: 575,
          name: "creates-${one}",
          summary: "Creates a ${one}",
          as: "shopper",
          request: { name: "Birthday" },
          answer: {
            ${one}_id: "${one}_01m83qdfkfe1gv0c4h8h4m8s9p",
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            name: "Birthday",
            create_time: "2026-11-23T08:12:17.696Z",
          },
        },
      ],
    },
  },
};
`;
