import { describe, expect, test } from "vitest";
import { shop } from "./shopping.ts";

const grpcWeb = { method: "POST", path: "/shop.inventory.v1.InventoryService/ListProducts" };
const rest = { method: "PATCH", path: "/products/product_01h455vb4pex5vsknk084sn02q" };

async function preflight(origin: string, { method, path }: typeof grpcWeb): Promise<Headers> {
  const response = await fetch(`${shop.url}${path}`, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": method,
      "access-control-request-headers": "authorization,content-type,x-grpc-web,idempotency-key,last-event-id",
    },
  });
  expect(response.status).toBe(204);
  return response.headers;
}

describe("a page of a permitted origin", () => {
  test.for([grpcWeb, rest])("may call $method $path", async (call) => {
    const headers = await preflight("http://web.example", call);
    expect(headers.get("access-control-allow-origin")).toBe("http://web.example");
    expect(headers.get("access-control-allow-methods")).toContain(call.method);
    for (const name of ["Authorization", "X-Grpc-Web", "Idempotency-Key", "If-Match"]) {
      expect(headers.get("access-control-allow-headers")).toContain(name);
    }
  });

  test.for([
    ["REST", "/products?page_size=1", undefined],
    ["Connect", grpcWeb.path, "application/json"],
  ] as const)("can read the answer and its status, over %s", async ([, path, contentType]) => {
    const response = await fetch(`${shop.url}${path}`, {
      headers: { origin: "http://web.example", ...(contentType && { "content-type": contentType }) },
      ...(contentType && { method: "POST", body: "{}" }),
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("access-control-allow-origin")).toBe("http://web.example");
    expect(response.headers.get("access-control-expose-headers")).toMatch(/grpc-status/i);
  });
});

test("a page of another origin gets no permission", async () => {
  const response = await fetch(`${shop.url}/products?page_size=1`, { headers: { origin: "http://evil.example" } });
  expect(response.headers.get("access-control-allow-origin")).toBeNull();
});
