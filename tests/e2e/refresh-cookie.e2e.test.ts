import { create, fromBinary, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  AuthenticateRequestSchema,
  AuthenticateResponseSchema,
  RefreshTokenRequestSchema,
  RefreshTokenResponseSchema,
  UserService,
} from "@shop/gen/shop/users/v1/user_service_pb";
import { describe, expect, test } from "vitest";
import { anonymous, password, shop, unique } from "./shopping.ts";

/** The answer that a page can read, and the cookie that it can't. */
interface Learned {
  readonly status: number;
  readonly refreshToken: string;
  readonly accessToken: string;
  readonly setCookie: string | undefined;
}

type Call = (method: "authenticate" | "refreshToken", request: object, cookie?: string) => Promise<Learned>;

const schemas = {
  authenticate: { input: AuthenticateRequestSchema, output: AuthenticateResponseSchema, rest: "/authenticate" },
  refreshToken: { input: RefreshTokenRequestSchema, output: RefreshTokenResponseSchema, rest: "/sessions:refresh" },
} as const;
const rpcPath = (method: keyof typeof schemas) => `/${UserService.typeName}/${UserService.method[method].name}`;

async function post(path: string, contentType: string, body: string | Uint8Array<ArrayBuffer>, cookie?: string) {
  return await fetch(`${shop.url}${path}`, {
    method: "POST",
    headers: { "content-type": contentType, ...(cookie && { cookie: `theme=dark; ${cookie}` }) },
    body,
  });
}

function learned(response: Response, answer: { refreshToken: string; accessToken: string }): Learned {
  return { status: response.status, ...answer, setCookie: response.headers.getSetCookie()[0] };
}

async function fromJsonAnswer(method: keyof typeof schemas, response: Response): Promise<Learned> {
  const json = (await response.json()) as JsonValue;
  const { output } = schemas[method];
  return learned(response, response.ok ? fromJson(output, json) : { refreshToken: "", accessToken: "" });
}

const protocols: Readonly<Record<string, Call>> = {
  REST: async (method, request, cookie) =>
    await fromJsonAnswer(method, await post(schemas[method].rest, "application/json", JSON.stringify(request), cookie)),
  Connect: async (method, request, cookie) =>
    await fromJsonAnswer(method, await post(rpcPath(method), "application/json", JSON.stringify(request), cookie)),
  "gRPC-Web": async (method, request, cookie) => {
    const { input, output } = schemas[method];
    const message = toBinary<typeof input>(input, create<typeof input>(input, request));
    const body = new Uint8Array(encodeEnvelope(0, message));
    const response = await post(rpcPath(method), "application/grpc-web+proto", body, cookie);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const length = new DataView(bytes.buffer).getUint32(1);
    const isAnswered = bytes.length > 0 && bytes[0] === 0;
    return learned(
      response,
      isAnswered ? fromBinary(output, bytes.subarray(5, 5 + length)) : { refreshToken: "", accessToken: "" },
    );
  },
};

const cookieOf = (setCookie: string | undefined) => setCookie?.split(";")[0] ?? "";

async function register(): Promise<{ username: string; password: string }> {
  const username = unique("browser");
  await anonymous.users.register({ username, password });
  return { username, password };
}

describe.for(Object.entries(protocols))("in a browser, over %s,", ([, call]) => {
  test("the refresh token is only in a cookie that no script and no other site can read", async () => {
    const signedIn = await call("authenticate", { ...(await register()), refreshTokenInCookie: true });
    expect(signedIn).toMatchObject({ refreshToken: "", accessToken: expect.stringMatching(/^ey/) });
    expect(signedIn.setCookie).toMatch(
      /^__Host-refresh_token=[\w-]{64}; Max-Age=1209600; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    );
  });

  test("the cookie is exchanged for the next tokens, and replaced", async () => {
    const first = await call("authenticate", { ...(await register()), refreshTokenInCookie: true });
    const second = await call("refreshToken", {}, cookieOf(first.setCookie));
    expect(second).toMatchObject({ refreshToken: "", accessToken: expect.stringMatching(/^ey/) });
    expect(cookieOf(second.setCookie)).toMatch(/^__Host-refresh_token=[\w-]{64}$/);
    expect(cookieOf(second.setCookie)).not.toBe(cookieOf(first.setCookie));
    const third = await call("refreshToken", {}, cookieOf(second.setCookie));
    expect(third.accessToken).toMatch(/^ey/);
  });

  test("a caller without the cookie, or that did not request it, gets none", async () => {
    const { setCookie, refreshToken } = await call("authenticate", await register());
    expect(setCookie).toBeUndefined();
    expect(refreshToken).toMatch(/^[\w-]{64}$/);
    const refreshed = await call("refreshToken", { refreshToken });
    expect(refreshed.setCookie).toBeUndefined();
    expect(refreshed.refreshToken).toMatch(/^[\w-]{64}$/);
    expect((await call("refreshToken", {})).accessToken).toBe("");
  });
});

test.for([
  ["signing out", "/sessions:signOut", {}],
  ["deleting the account", "/profile:delete", { password }],
] as const)("%s removes the cookie", async ([, path, body]) => {
  const { accessToken, setCookie } = await protocols.REST!("authenticate", {
    ...(await register()),
    refreshTokenInCookie: true,
  });
  const cookie = cookieOf(setCookie);
  const response = await fetch(`${shop.url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json", cookie },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  expect(response.headers.getSetCookie()).toEqual([
    "__Host-refresh_token=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Strict",
  ]);
  expect((await protocols.REST!("refreshToken", {}, cookie)).status).toBe(401);
});

test("a page of a permitted origin may send the cookie, and no form can sign a browser in", async () => {
  const preflight = async (origin: string) => {
    const headers = {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
    };
    const response = await fetch(`${shop.url}/sessions:refresh`, { method: "OPTIONS", headers });
    return response.headers.get("access-control-allow-credentials");
  };
  expect(await preflight("http://web.example")).toBe("true");
  const { username } = await register();
  for (const contentType of ["text/plain", "application/x-www-form-urlencoded"]) {
    const body = JSON.stringify({ username, password, refreshTokenInCookie: true });
    const response = await post("/authenticate", contentType, body);
    expect(response.status).toBe(415);
    expect(response.headers.getSetCookie()).toEqual([]);
  }
});
