import { readmeExample } from "@shop/http-port/testing/readme-example";
import { expect, test } from "vitest";
import type { ConfigError, DomainError } from "./index.ts";

interface Example {
  settingsOf(environment: NodeJS.ProcessEnv): { SHELF_PORT: number; SHELVES: number };
  noSuchShelf(): DomainError;
}

test("the README's example reads settings, names every invalid one, and creates an error for the caller", async () => {
  const { settingsOf, noSuchShelf } = await readmeExample<Example>("@shop/core", import.meta.dirname);
  expect(settingsOf({ SHELVES: "9" })).toEqual({ SHELF_PORT: 5010, SHELVES: 9 });
  const message = (() => {
    try {
      return settingsOf({ SHELVES: "many", SHELF_PORT: "0x10" });
    } catch (error) {
      return (error as ConfigError).message;
    }
  })();
  expect(message).toMatch(/SHELF_PORT.*SHELVES/s);
  expect(noSuchShelf()).toMatchObject({ kind: "invalid_argument", facts: { violations: [{ field: "shelf" }] } });
});
