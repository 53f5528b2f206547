import { describe, expect, test } from "vitest";
import { type AnyMethod, nameOf } from "./clients.ts";
import { story } from "./contracts.ts";
import { eventually } from "./eventually.ts";
import { ExampleMatcher } from "./example-matcher.ts";
import { accessRules, rows, titleOf } from "./method-table.ts";
import { exampleRequest, type Operation, readOpenApi } from "./openapi.ts";
import { plantDeadLetter } from "./plant-dead-letter.ts";
import { isInternal, methods } from "./schema.ts";
import { shop, signInAdmin, unique } from "./shopping.ts";

const openApi = await readOpenApi();
const openMethods = methods.filter((method) => !isInternal(method));
const idOf = (method: AnyMethod) => `${method.parent.name}_${method.name}`;

function operationOf(id: string): Operation {
  const found = openApi.operations.find((operation) => operation.id === id);
  if (found === undefined) throw new Error(`${id} is not described`);
  return found;
}

describe("what /openapi.json describes", () => {
  test("describes every method of the public port, and none that is INTERNAL", () => {
    expect(openApi.document.openapi).toBe("3.1.1");
    expect(openApi.operations.map(({ id }) => id).toSorted()).toEqual(openMethods.map(idOf).toSorted());
    expect(methods.length).toBeGreaterThan(openMethods.length);
  });

  test.for(openMethods.map((method) => [nameOf(method), method] as const))(
    "states the access rule of %s",
    ([name, method]) => {
      const security = { PUBLIC: [], AUTHENTICATED: [{ accessToken: [] }], ADMIN: [{ accessToken: ["admin"] }] };
      expect(operationOf(idOf(method)).security).toEqual(security[accessRules[name] as keyof typeof security]);
    },
  );

  test.for(
    rows.filter(({ method, refuses }) => !isInternal(method) && refuses).map((row) => [titleOf(row), row] as const),
  )("has a description for the reason of: %s", ([, { method, refuses }]) => {
    expect([...operationOf(idOf(method)).reasons.keys()]).toContain(refuses!.reason);
  });
});

describe("every example of /openapi.json works:", async () => {
  const admin = await signInAdmin();
  const username = unique("ada");
  const consumer = unique("a-consumer");
  const [nobodys, anOrders] = await Promise.all([plantDeadLetter(consumer), plantDeadLetter("orders-stock-reserved")]);
  const alike = new ExampleMatcher({
    "ada.lovelace": username,
    "ADA.LOVELACE": username.toUpperCase(),
    Kitchenware: unique("Kitchenware"),
    "TEA-1": unique("sku"),
    "celadon-glaze": unique("glaze"),
    user_01m83qcpzdf20br0v1gseyesza: admin.userId,
    "a-consumer": consumer,
    "104": nobodys.deadLetterId,
    "107": anOrders.deadLetterId,
  });
  const tokens = { admin: admin.headers.authorization, shopper: "" };

  const steps = story.map(({ method, ...step }) => ({ ...step, operation: operationOf(idOf(method)) }));

  test("the test replays all of them", () => {
    const replayed = steps.map(({ operation, name }) => `${operation.id} ${name}`).toSorted();
    const described = openApi.operations.flatMap(({ id, responses }) =>
      Object.values(responses)
        .flatMap(({ content }) => Object.values(content))
        .flatMap(({ examples = {} }) => Object.keys(examples).map((name) => `${id} ${name}`)),
    );
    expect(described.toSorted()).toEqual(replayed);
    expect(new Set(steps.map(({ operation }) => operation.id)).size).toBe(openApi.operations.length);
  });

  test.for(steps.map((step) => [`${step.operation.id} ${step.name}`, step] as const))("%s", async ([, step]) => {
    const { operation, name, as, status = 200 } = step;
    const request = exampleRequest(operation, name);
    expect(openApi.requestProblems(operation, request)).toEqual([]);
    const headers = as === undefined ? {} : { authorization: tokens[as] };

    async function replay(): Promise<void> {
      const answer = await openApi.ask(operation, alike.toActual(request as never), headers);
      openApi.expectDescribed(operation, answer);
      expect(answer.status, JSON.stringify(answer.json)).toBe(status);
      const [example] = Object.values(operation.responses[status]!.content).flatMap(
        ({ examples }) => examples?.[name] ?? [],
      );
      expect(alike.differences(example!.value, answer.json)).toEqual([]);
      const { access_token: token } = answer.json as { access_token?: string };
      if (token !== undefined) tokens.shopper = `Bearer ${token}`;
    }
    // A read may precede its event.
    if (operation.httpMethod === "GET") await eventually(replay);
    else await replay();
  });
});

test("the page at /docs loads nothing from elsewhere", async () => {
  const page = await (await fetch(`${shop.url}/docs`)).text();
  for (const [, path] of page.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
    expect((await fetch(`${shop.url}${path}`)).status, path).toBe(200);
  }
});
