import { expect, test } from "vitest";
import { z } from "zod";
import { readConfig, setting } from "./config.ts";

const schema = z.object({
  ORIGINS: setting.origins(),
  HOST: setting.host("127.0.0.1"),
  PORT: setting.port(80),
  RETRIES: setting.integer(3, 1, 9, "retries"),
  DEBUG: setting.flag(false),
  URLS: setting.urls("http://127.0.0.1:1"),
});

test("absent and empty variables have their defaults", () => {
  expect(readConfig({ it: schema }, { RETRIES: "" }).it).toEqual({
    ORIGINS: [],
    HOST: "127.0.0.1",
    PORT: 80,
    RETRIES: 3,
    DEBUG: false,
    URLS: ["http://127.0.0.1:1"],
  });
});

test('a flag set to "false" is false', () => {
  expect(readConfig({ it: schema }, { DEBUG: "false" }).it.DEBUG).toBe(false);
});

test("a list of URLs is split at commas, without trailing slashes", () => {
  expect(readConfig({ it: schema }, { URLS: "http://a:1/, http://b:2" }).it.URLS).toEqual(["http://a:1", "http://b:2"]);
});

test("a renamed variable is read under its former name, unless it is set under the current one", () => {
  const renamed = z.object({ DEBUG: setting.flag(true).meta({ formerName: "VERBOSE", meaning: "Whether it talks." }) });
  const debug = (environment: NodeJS.ProcessEnv) => readConfig({ it: renamed }, environment).it.DEBUG;
  expect([debug({}), debug({ VERBOSE: "false" }), debug({ VERBOSE: "" })]).toEqual([true, false, true]);
  expect([debug({ VERBOSE: "false", DEBUG: "true" }), debug({ VERBOSE: "true", DEBUG: "false" })]).toEqual([
    true,
    false,
  ]);
  expect(() => debug({ VERBOSE: "maybe" })).toThrow("DEBUG (true or false)");
});

test("all invalid variables are reported at once, with their units", () => {
  const read = () =>
    readConfig(
      { it: schema, other: z.object({ WAIT: setting.integer(1, 0, 5, "seconds") }) },
      { PORT: "http", RETRIES: "99", WAIT: "x" },
    );
  expect(read).toThrow(/PORT \(TCP port\)[\s\S]*RETRIES \(retries\)[\s\S]*WAIT \(seconds\)/);
});

test.each(["0x10", "1e1", "5.0", " 5", "-1", "10", "٣"])("%j is not an integer of 1 to 9", (text) => {
  expect(() => readConfig({ it: schema }, { RETRIES: text })).toThrow(`"${text}" is not an integer of 1 to 9`);
});

test.each([
  "https://shop.example",
  "http://localhost:5173",
  "http://[::1]:3000",
  "https://xn--strae-oqa.example",
  "https://shop.example.",
  "capacitor://localhost",
  "chrome-extension://abcdefghijklmnop",
  "*",
])("%s is an origin that a browser may send", (origin) => {
  expect(readConfig({ it: schema }, { ORIGINS: `${origin}, https://b.example` }).it.ORIGINS).toContain(origin);
});

test.each([
  ["https://shop.example/", "write https://shop.example"],
  ["https://shop.example/path", "write https://shop.example"],
  ["https://shop.example?a", "write https://shop.example"],
  ["https://shop.example:443", "write https://shop.example"],
  ["https://Shop.Example", "write https://shop.example"],
  ["https://straße.example", "write https://xn--strae-oqa.example"],
  ["https://me@shop.example", "write https://shop.example"],
  ["shop.example", "has no scheme"],
  ["localhost:5173", "has no scheme"],
  ["//shop.example", "has no scheme"],
  ["null", "has no scheme"],
  ["https://*.shop.example", "the host must be given in full"],
  ["https://", "is not an origin"],
  ["https://a..example", "part of the host name is missing"],
  ["http://.example", "part of the host name is missing"],
  ["app://a..b", "part of the host name is missing"],
  ["ftp://a.b", "pages are loaded over https or http"],
  ["ws://shop.example", "pages are loaded over https or http"],
  ["wss://shop.example", "pages are loaded over https or http"],
  ["file:///srv/page.html", "pages are loaded over https or http"],
])("%s is an origin that no browser sends", (origin, problem) => {
  expect(() => readConfig({ it: schema }, { ORIGINS: origin })).toThrow(problem);
});

test.each(["::1", "0.0.0.0", "::", "192.168.1.20", "localhost", "shop-1.internal", "fe80::1%eth0"])(
  "%s is a host",
  (host) => {
    expect(readConfig({ it: schema }, { HOST: host }).it.HOST).toBe(host);
  },
);

test.each(["http://localhost", "[::1]", "localhost:80", "256.1.1.1", "1234", "a b", "-a", ":::1", "127.0.0.1/8"])(
  "%s is not a host",
  (host) => {
    expect(() => readConfig({ it: schema }, { HOST: host })).toThrow("neither an IP address nor the name of a host");
  },
);

test.each(["http://a:1/path", "https://a:1", "a:1", "http://", "http://a:1?x", "http://me@a:1", "http://a:1,"])(
  "%s is not a base URL",
  (url) => {
    expect(() => readConfig({ it: schema }, { URLS: url })).toThrow("is not of the form http://host:port");
  },
);
