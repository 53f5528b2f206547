import type { AnyRequest } from "@shop/http-port";
import { expect, test } from "vitest";
import { moveTicket, ticketIn } from "./stream-tickets.ts";

function moved(url: string, authorization?: string, method = "GET") {
  const request = { method, url, headers: authorization === undefined ? {} : { authorization } };
  moveTicket(request as unknown as AnyRequest);
  const headers = new Headers(request.headers as Record<string, string>);
  return { url: request.url, found: ticketIn(headers), authorization: headers.get("authorization") };
}

const path = "/orders/1:watch";

test.each([
  [`${path}?access_ticket=abc`, path],
  [`${path}?access_ticket=abc&after_version=1`, `${path}?after_version=1`],
  [`${path}?after_version=1&access_ticket=abc`, `${path}?after_version=1`],
  [`${path}?a=1&access_ticket=abc&b=2`, `${path}?a=1&b=2`],
])("a ticket in the query of %s moves to the authorization header", (url, left) => {
  expect(moved(url)).toMatchObject({ url: left, found: { path, ticket: "abc" } });
});

test("an access token takes precedence over a ticket, which is removed from the query nevertheless", () => {
  expect(moved(`${path}?access_ticket=abc`, "Bearer token")).toEqual({
    url: path,
    found: undefined,
    authorization: "Bearer token",
  });
});

test.each([
  ["Ticket abc", path],
  ["Ticket /orders/2:watch abc", path],
  ["ticket   /orders/2:watch   abc", path],
  ["Ticket /orders/2:watch abc", `${path}?after=access_ticket`],
  ["Ticket /orders/2:watch abc", `${path}?xaccess_ticket=other`],
])("a ticket header %j is only valid for the path of the request: %s", (authorization, url) => {
  expect(moved(url, authorization)).toMatchObject({ url, found: { path, ticket: "abc" } });
});

test("other parameters, other HTTP methods and other schemes carry no ticket", () => {
  for (const url of [path, `${path}?ticket=abc`, `${path}?my_access_ticket=abc`])
    expect(moved(url)).toMatchObject({ url, found: undefined });
  expect(moved(`${path}?access_ticket=abc`, undefined, "POST")).toMatchObject({ found: undefined });
  expect(moved(path, "Bearer /orders/2:watch abc")).toMatchObject({ found: undefined });
});
