import { expect, test } from "vitest";
import { readableLine } from "./log-lines.ts";

const warn = "warn";

test("warnings and worse are shown readably, with their details", () => {
  const line = JSON.stringify({ level: "error", time: 1, pid: 2, hostname: "h", msg: "no", reason: "X" });
  expect(readableLine("orders", line, warn)).toBe('orders: error: no {"reason":"X"}');
});

test("lines below the level are hidden unless requested", () => {
  const line = JSON.stringify({ level: "info", msg: "listening" });
  expect(readableLine("orders", line, warn)).toBeUndefined();
  expect(readableLine("orders", line, "trace")).toBe("orders: info: listening");
});

test("a line that is not a log line of pino is shown unchanged", () => {
  expect(readableLine("orders", "TypeError: x", warn)).toBe("orders: TypeError: x");
  expect(readableLine("orders", '{"broken', warn)).toBe('orders: {"broken');
  expect(readableLine("orders", "", warn)).toBeUndefined();
  expect(readableLine("orders", "    at file:///shop/a.ts:1:2", warn)).toBe("orders:     at file:///shop/a.ts:1:2");
  expect(readableLine("orders", "    at parse (node:internal/modules/typescript:72:36)", warn)).toBeUndefined();
});

test("control and direction characters are shown by their numbers", () => {
  const evil = "\x1b[31mred\x9b\r\u202eabc\u2066\u200b\ufeff\u2028\ud800";
  const shown = "\\u{1b}[31mred\\u{9b}\\u{d}\\u{202e}abc\\u{2066}\\u{200b}\\u{feff}\\u{2028}";
  expect(readableLine("orders", `at ${evil}`, warn)).toBe(`orders: at ${shown}\\u{d800}`);
  const line = readableLine("orders", JSON.stringify({ level: "error", msg: evil, reason: evil }), warn);
  expect(line).toContain(`orders: error: ${shown}`);
  expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\ud800-\udfff]/u);
});
