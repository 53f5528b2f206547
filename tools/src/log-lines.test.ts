import { expect, test } from "vitest";
import { readableLine } from "./log-lines.ts";

const warn = 40;

test("warnings and worse are shown readably, with their details", () => {
  const line = JSON.stringify({ level: 50, time: 1, pid: 2, hostname: "h", msg: "no", reason: "X" });
  expect(readableLine("orders", line, warn)).toBe('orders: error: no {"reason":"X"}');
});

test("routine lines are not shown unless asked for", () => {
  const line = JSON.stringify({ level: 30, msg: "listening" });
  expect(readableLine("orders", line, warn)).toBeUndefined();
  expect(readableLine("orders", line, 0)).toBe("orders: info: listening");
});

test("what is not a log line of pino is shown as it is", () => {
  expect(readableLine("orders", "TypeError: x", warn)).toBe("orders: TypeError: x");
  expect(readableLine("orders", '{"broken', warn)).toBe('orders: {"broken');
  expect(readableLine("orders", "", warn)).toBeUndefined();
});
