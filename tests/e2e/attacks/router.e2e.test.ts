import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import type { JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serviceHeaders } from "../../setup/service-credentials.ts";
import { nameOf } from "../clients.ts";
import { restCalls } from "../rest-routes.ts";
import { isInternal, methods, ownUrls } from "../schema.ts";
import { shop, signInAdmin, signUp } from "../shopping.ts";

interface Line {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
}

/** Ids that do not exist: a permitted caller gets NOT_FOUND. */
const ids: JsonObject = {
  user_id: "user_01h455vb4pex5vsknk084sn02q",
  product_id: "product_01h455vb4pex5vsknk084sn02q",
  order_id: "order_01h455vb4pex5vsknk084sn02q",
  dead_letter_id: "999999999",
};
const nested: JsonObject = { profile: { user_id: ids.user_id! }, product: { product_id: ids.product_id! } };

/** Each method's request with only the fields that identify its subject: as an RPC and over REST. */
const linesOf = new Map(
  methods.map((method): [string, Line[]] => {
    const request = Object.fromEntries(
      Object.entries({ ...ids, ...nested }).filter(([name]) =>
        method.input.fields.some((field) => field.name === name),
      ),
    );
    const { verb, path, body } = restCalls[nameOf(method)]!(request);
    return [
      nameOf(method),
      [
        { method: "POST", path: `/${nameOf(method)}`, body: JSON.stringify(request) },
        { method: verb, path, ...(body && { body: JSON.stringify(body) }) },
      ],
    ];
  }),
);

const escaped = (path: string) =>
  path.replaceAll(/[\w\-.~:]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);

/** Equivalent spellings of a target. */
const rewritten: Readonly<Record<string, (path: string) => string>> = {
  "with every character escaped": escaped,
  "with its colon or its first character escaped": (path) =>
    path.includes(":") ? path.replace(":", "%3A") : `/${escaped(path.slice(1, 2))}${path.slice(2)}`,
  "as an absolute URI": (path) => `HTTP://HOST${path.slice(0, -1)}${escaped(path.slice(-1)).toUpperCase()}`,
};

/** Targets that another server on the way could decode or cut to another path. */
const refused: Readonly<Record<string, (path: string) => string>> = {
  "behind a dot segment": (path) => `/.${path}`,
  "behind an escaped dot segment": (path) => `/x/%2E%2e${path}`,
  "behind an escaped slash": (path) => `/x%2f..${path}`,
  "with a backslash": (path) => `/x\\..${path}`,
  "with an escaped backslash": (path) => `${path}%5C..`,
  "with a fragment": (path) => `${path}#x`,
  "with half an escape": (path) => `${path}%4`,
  "with an overlong slash": (path) => `${path}%c0%af`,
};

type Headers = Readonly<Record<string, string>>;
/** The status, and the body of an error; not that of a read, which may change meanwhile. */
type Decision = string;

function decisionOf(status: number, bytes: readonly Buffer[]): Decision {
  return status === 200 ? "200" : `${status} ${Buffer.concat(bytes)}`;
}

const agent = new http.Agent({ keepAlive: true });
const sessions = new Map<string, http2.ClientHttp2Session>();

afterAll(() => {
  agent.destroy();
  for (const session of sessions.values()) session.close();
});

async function overHttp1(url: string, { method, path, body }: Line, headers: Headers): Promise<Decision> {
  const { hostname: host, port } = new URL(url);
  const target = path.replace("HOST", `${host}:${port}`);
  const request = http.request({ host, port, agent, method, path: target, headers });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return decisionOf(response.statusCode!, await response.toArray());
}

async function overHttp2(url: string, { method, path, body }: Line, headers: Headers): Promise<Decision> {
  const session = sessions.get(url) ?? http2.connect(url);
  sessions.set(url, session);
  const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: false });
  stream.end(body);
  const [head] = (await once(stream, "response")) as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader];
  return decisionOf(head[":status"]!, await stream.toArray());
}

async function decisionsOn(url: string, line: Line, as: Headers): Promise<Decision[]> {
  const headers = line.body === undefined ? as : { "content-type": "application/json", ...as };
  const http1 = overHttp1(url, line, headers);
  return line.path.startsWith("/") ? await Promise.all([http1, overHttp2(url, line, headers)]) : [await http1];
}

const callers: Record<string, Headers> = { anonymous: {} };

beforeAll(async () => {
  const [admin, customer] = await Promise.all([signInAdmin(), signUp()]);
  Object.assign(callers, {
    customer: customer.headers,
    admin: admin.headers,
    "a service": serviceHeaders(shop.dataDir, "orders", "inventory"),
  });
});

describe("every spelling of a path has the same result:", () => {
  test.for(methods.map((method) => [nameOf(method), method] as const))("%s", async ([name, method]) => {
    for (const url of [shop.url, ownUrls[method.parent.typeName]!]) {
      for (const line of linesOf.get(name)!) {
        const [canonical, overHttp2] = await decisionsOn(url, line, callers.anonymous!);
        expect(overHttp2).toBe(canonical);
        const isHidden = isInternal(method) && url === shop.url;
        expect(canonical, line.path).toMatch(isHidden ? /^404 / : /^(200|400 |401 |403 |404 |415 )/);
        for (const [how, rewrite] of Object.entries(rewritten))
          for (const decision of await decisionsOn(url, { ...line, path: rewrite(line.path) }, callers.anonymous!))
            expect(decision, `${line.path} ${how}`).toBe(canonical);
      }
    }
  });
});

test.each(Object.entries(refused))("a path %s is refused", async (_how, rewrite) => {
  for (const path of ["/products", "/admin/users", "/shop.users.v1.UserService/ListUsers", "/healthz", "/nothing"])
    for (const url of [shop.url, shop.usersUrl, shop.inventoryUrl])
      for (const decision of await decisionsOn(url, { method: "GET", path: rewrite(path) }, callers.admin!))
        expect(decision, `${path} at ${url}`).toMatch(/^400 .*the target of the request is malformed/);
});

test("every spelling of a method's path admits its permitted callers, and no others", async () => {
  const expected = { anonymous: 401, customer: 403, admin: 200, "a service": 401 };
  const line: Line = { method: "GET", path: "/admin/users?page_size=1" };
  for (const [caller, status] of Object.entries(expected)) {
    for (const path of [
      line.path,
      "/%61dmin/users?page_size=1",
      "/admin%2Dx/../admin/users",
      "http://HOST/admin/%75sers?page_size=1",
    ]) {
      const expectedStatus = path.includes("..") ? 400 : status;
      for (const decision of await decisionsOn(shop.url, { ...line, path }, callers[caller]!))
        expect(decision, `${caller} at ${path}`).toMatch(new RegExp(`^${expectedStatus}`));
    }
  }
});

test("nothing is redirected", async () => {
  for (const path of ["//products", "/products/", "/Products", "/products//", "/PRODUCTS", "/healthz/", "/docs/"])
    for (const decision of await decisionsOn(shop.url, { method: "GET", path }, {}))
      expect(decision, path).toMatch(/^404 /);
});
