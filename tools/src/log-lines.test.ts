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

test("what would move the cursor, colour the terminal or turn the text around is shown by its number", () => {
  const evil = "\x1b[31mred\x9b\r\u202eabc\u2066\u200b\ufeff\u2028\ud800";
  const shown = "\\u{1b}[31mred\\u{9b}\\u{d}\\u{202e}abc\\u{2066}\\u{200b}\\u{feff}\\u{2028}";
  expect(readableLine("orders", `at ${evil}`, warn)).toBe(`orders: at ${shown}\\u{d800}`);
  const line = readableLine("orders", JSON.stringify({ level: 50, msg: evil, reason: evil }), warn);
  expect(line).toContain(`orders: error: ${shown}`);
  expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\ud800-\udfff]/u);
});
