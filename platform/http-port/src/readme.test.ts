import { once } from "node:events";
import http2 from "node:http2";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { readmeExample } from "./testing/readme-example.ts";

type Example = { openPort(): Promise<{ app: { close(): Promise<void> }; url: string }> };

test("the README's example answers in both versions of HTTP, and refuses malformed requests in plain text", async () => {
  const { openPort } = await readmeExample<Example>("@shop/http-port", import.meta.dirname);
  const { app, url } = await openPort();
  onTestFinished(() => app.close());

  expect(await (await fetch(`${url}/hello`)).json()).toEqual({ hello: "1.1" });
  const session = http2.connect(url);
  onTestFinished(() => void session.close());
  expect(await text(session.request({ ":path": "/hello" }))).toBe('{"hello":"2.0"}');

  const refused = session.request({ ":path": "/hello", ":method": "GET" }, { endStream: false });
  refused.end("a body");
  const [headers] = await once(refused, "response");
  expect([headers[":status"], await text(refused)]).toEqual([400, "GET has no body"]);
});
