import { expect, test } from "vitest";
import { openTestPort } from "../testing/test-port.ts";
import { alwaysSaid } from "./security-headers.ts";

const openApi = Buffer.from('{"openapi":"3.1.1"}');

async function ask(path: string, headers: Record<string, string> = {}, options = { openApi }): Promise<Response> {
  const { port } = await openTestPort(options);
  return await fetch(`http://127.0.0.1:${port}${path}`, { headers });
}

test("the description is what was given, in JSON, under the headers of every other answer", async () => {
  const answer = await ask("/openapi.json");
  expect([answer.status, await answer.text()]).toEqual([200, String(openApi)]);
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    ...alwaysSaid,
    "cache-control": "no-cache",
    "content-type": "application/json",
  });
});

test("what a browser has already is not sent again, and what has changed is", async () => {
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

test("the page, and all that it loads, comes from here, and its policy lets it load nothing else", async () => {
  const page = await ask("/docs");
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const html = await page.text();
  const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url!).filter((url) => url !== "data:,");
  expect(loaded).toHaveLength(3);
  for (const path of ["/docs", ...loaded]) {
    const answer = await ask(path);
    expect([path, answer.status]).toEqual([path, 200]);
    const { "content-security-policy": policy, ...headers } = Object.fromEntries(answer.headers);
    const { "content-security-policy": _, "cache-control": __, ...elsewhere } = alwaysSaid;
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

test("a port that is not described has neither", async () => {
  for (const path of ["/openapi.json", "/docs", "/docs/page.js"]) {
    const { port } = await openTestPort({ openApi: undefined });
    expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).toBe(404);
  }
});

test("a browser that asks for / is led to the page, and no other client is", async () => {
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

test("a port that does not describe itself leads no browser anywhere", async () => {
  const { port } = await openTestPort();
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { accept: "text/html" }, redirect: "manual" });
  expect(answer.status).toBe(404);
});
