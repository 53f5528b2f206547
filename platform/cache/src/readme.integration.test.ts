import { readmeExample } from "@shop/http-port/testing/readme-example";
import { expect, inject, onTestFinished, test, vi } from "vitest";

interface Example {
  openGreetings(
    redisUrl: string,
    make: (name: string) => Promise<string>,
  ): { greet(name: string): Promise<string | undefined>; close(): void };
}

test("the README's example computes an answer once for all callers", async () => {
  const { openGreetings } = await readmeExample<Example>("@shop/cache", import.meta.dirname);
  const make = vi.fn(async (name: string) => `Hello, ${name}`);
  const { greet, close } = openGreetings(inject("redisUrl"), make);
  onTestFinished(close);
  const name = `reader ${process.pid}`;
  expect(await Promise.all([greet(name), greet(name), greet(name)])).toEqual(Array(3).fill(`Hello, ${name}`));
  expect(make).toHaveBeenCalledTimes(1);
});
