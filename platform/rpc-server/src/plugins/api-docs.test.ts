import { expect, test } from "vitest";
import { openTestPort } from "../testing/test-port.ts";
import { alwaysSent } from "./security-headers.ts";

const openApi = Buffer.from('{"openapi":"3.1.1"}');

async function ask(path: string, headers: Record<string, string> = {}, options = { openApi }): Promise<Response> {
  const { port } = await openTestPort(options);
  return await fetch(`http://127.0.0.1:${port}${path}`, { headers });
}

test("/openapi.json is the given document as JSON, with the default headers", async () => {
  const answer = await ask("/openapi.json");
  expect([answer.status, await answer.text()]).toEqual([200, String(openApi)]);
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    ...alwaysSent,
    "cache-control": "no-cache",
    "content-type": "application/json",
  });
});

test("an unchanged document is answered with 304, and a changed one is sent", async () => {
  const etag = (await ask("/openapi.json")).headers.get("etag")!;
  for (const [known, status] of [
    [etag, 304],
    [`"other", W/${etag}`, 304],
    ["*", 304],
    ['"other"', 200],
  ] as const) {
    const answer = await ask("/openapi.json", { "if-none-match": known });
    expect([known, answer.status, answer.headers.get("etag")]).toEqual([known, status, etag]);
    expect((await answer.text()).length).toBe(status === 304 ? 0 : openApi.length);
  }
  const changed = await ask("/openapi.json", { "if-none-match": etag }, { openApi: Buffer.from("{}") });
  expect(changed.status).toBe(200);
});

test("the page loads everything from this port, and its policy forbids anything else", async () => {
  const page = await ask("/docs");
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const html = await page.text();
  const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url!).filter((url) => url !== "data:,");
  expect(loaded).toHaveLength(3);
  for (const path of ["/docs", ...loaded]) {
    const answer = await ask(path);
    expect([path, answer.status]).toEqual([path, 200]);
    const { "content-security-policy": policy, ...headers } = Object.fromEntries(answer.headers);
    const { "content-security-policy": _, "cache-control": __, ...elsewhere } = alwaysSent;
    expect(headers).toMatchObject(elsewhere);
    expect(policy!.split("; ").toSorted()).toEqual([
      "base-uri 'none'",
      "connect-src 'self'",
      "default-src 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "img-src data:",
      "script-src 'self'",
      "style-src 'self'",
    ]);
  }
});

test("a port without an OpenAPI document has neither path", async () => {
  for (const path of ["/openapi.json", "/docs", "/docs/page.js"]) {
    const { port } = await openTestPort({ openApi: undefined });
    expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).toBe(404);
  }
});

test("a browser that requests / is redirected to the page, and no other client is", async () => {
  const { port } = await openTestPort({ openApi });
  const ask = async (accept: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { accept }, redirect: "manual" });
    await answer.arrayBuffer();
    return [answer.status, answer.headers.get("location")];
  };
  expect(await ask("text/html,application/xhtml+xml,*/*;q=0.8")).toEqual([302, "/docs"]);
  for (const accept of ["*/*", "application/json"]) expect(await ask(accept)).toEqual([404, null]);
  const followed = await fetch(`http://127.0.0.1:${port}/`, { headers: { accept: "text/html" } });
  expect(await followed.text()).toContain("<!doctype html>");
});

test("a port without an OpenAPI document does not redirect browsers", async () => {
  const { port } = await openTestPort();
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { accept: "text/html" }, redirect: "manual" });
  expect(answer.status).toBe(404);
});
