import { expect, test } from "vitest";
import { natsServers } from "./nats-servers.ts";

test.each([
  ["nats://127.0.0.1:4222", { servers: ["127.0.0.1:4222"] }],
  ["127.0.0.1:4222, nats://b:4223", { servers: ["127.0.0.1:4222", "b:4223"] }],
  ["nats://secret@a:1", { servers: ["a:1"], token: "secret" }],
  [
    "nats://me:p%40ss@a:1,nats://me:p%40ss@b:2",
    { servers: ["a:1", "b:2"], user: "me", pass: "p@ss", inboxPrefix: "_INBOX_me" },
  ],
])("%s gives servers and credentials", (urls, expected) => expect(natsServers(urls)).toEqual(expected));

test("an NKey seed signs, and is not sent", () => {
  const { user, pass, authenticator, inboxPrefix } = natsServers(
    "nats://orders:SUACQYBY6SNNXCM2FY4AS7VRQHCRGRIZ2CW66OABKRH7PISB3PNG4HPWII@a:1",
  );
  expect([user, pass, inboxPrefix]).toEqual([undefined, undefined, "_INBOX_orders"]);
  expect(authenticator).toBeTypeOf("function");
});
