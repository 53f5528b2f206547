import { expect, test } from "vitest";
import { z } from "zod";
import { readConfig, setting } from "./config.ts";

const schema = z.object({
  PORT: setting.port(80),
  RETRIES: setting.integer(3, 1, 9, "retries"),
  DEBUG: setting.flag(false),
  URLS: setting.urls("http://127.0.0.1:1"),
});

test("absent and empty variables take their defaults", () => {
  expect(readConfig({ it: schema }, { RETRIES: "" }).it).toEqual({
    PORT: 80,
    RETRIES: 3,
    DEBUG: false,
    URLS: ["http://127.0.0.1:1"],
  });
});

test('"false" does not become true', () => {
  expect(readConfig({ it: schema }, { DEBUG: "false" }).it.DEBUG).toBe(false);
});

test("several URLs are the replicas of one service", () => {
  expect(readConfig({ it: schema }, { URLS: "http://a:1/, http://b:2" }).it.URLS).toEqual(["http://a:1", "http://b:2"]);
});

test("every bad variable is told at once, with its unit", () => {
  const read = () =>
    readConfig(
      { it: schema, other: z.object({ WAIT: setting.integer(1, 0, 5, "seconds") }) },
      { PORT: "http", RETRIES: "99", WAIT: "x" },
    );
  expect(read).toThrow(/PORT \(TCP port\)[\s\S]*RETRIES \(retries\)[\s\S]*WAIT \(seconds\)/);
});
