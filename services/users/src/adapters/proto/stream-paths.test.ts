import { allServices } from "@shop/topology/contracts";
import { expect, test } from "vitest";
import { streamPaths } from "./stream-paths.ts";

const isStream = streamPaths(allServices);

test.each([
  ["/orders/order_01h455vb4pex5vsknk084sn02q:watch", true],
  ["/products/product_01h455vb4pex5vsknk084sn02q:watchStock", true],
  ["/orders/order_01h455vb4pex5vsknk084sn02q", false],
  ["/orders", false],
  ["/register", false],
  ["/orders/:watch", false],
  ["/orders/a/b:watch", false],
  ["/nothing:watch", false],
  ["/docs", false],
  ["/", false],
])("%s is a stream: %s", (path, expected) => {
  expect(isStream(path)).toBe(expected);
});
