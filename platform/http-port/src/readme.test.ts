import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";

type Example = { openPort(): Promise<{ app: { close(): Promise<void> }; url: string }> };

test("the example of the README answers in both versions of HTTP, and refuses what is no request in plain text", async () => {
  const readme = readFileSync(join(import.meta.dirname, "../README.md"), "utf8");
  const file = join(import.meta.dirname, `readme-example-${process.pid}.ts`);
  writeFileSync(file, /```ts\n(.*?)```/s.exec(readme)![1]!.replace('"@shop/http-port"', '"./index.ts"'));
  onTestFinished(() => rmSync(file));
  const { openPort } = (await import(file)) as Example;
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
