import { readConfig, setting } from "@shop/core";
import { type AnyRequest, clientOf, networkOf, sharersOf } from "@shop/http-port";
import { describe, expect, test } from "vitest";
import { z } from "zod";

const proxies = z.object({ PROXIES: setting.trustedProxies() });
const trusting = (PROXIES: string) => readConfig({ it: proxies }, { PROXIES }).it.PROXIES;

function client(trusted: string, peer: string, forwardedFor?: string, scheme?: string) {
  const headers = { "x-forwarded-for": forwardedFor, "x-forwarded-proto": scheme };
  return clientOf({ headers, socket: { remoteAddress: peer } } as unknown as AnyRequest, trusting(trusted));
}

describe("the address of a client is", () => {
  test.for([
    ["the peer's, whatever its headers say, if no proxy is trusted", "", "203.0.113.9", "1.1.1.1", "203.0.113.9"],
    ["the peer's, whatever its headers say, with 0 proxies", "0", "203.0.113.9", "1.1.1.1", "203.0.113.9"],
    [
      "the one that the trusted proxy saw, not the one that the client sent",
      "1",
      "10.0.0.1",
      "1.1.1.1, 203.0.113.9",
      "203.0.113.9",
    ],
    ["the one that the second of two proxies saw", "2", "10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"],
    ["the furthest known, behind fewer proxies than trusted", "3", "10.0.0.1", "203.0.113.9", "203.0.113.9"],
    [
      "the last one outside of the trusted networks",
      "10.0.0.0/8, fd00::/8",
      "10.1.1.1",
      "1.1.1.1, 203.0.113.9, fd00::2",
      "203.0.113.9",
    ],
    ["the peer's, if it is outside of the trusted networks", "10.0.0.0/8", "203.0.113.9", "1.1.1.1", "203.0.113.9"],
    ["the proxy's, if it sends no X-Forwarded-For", "1", "10.0.0.1", undefined, "10.0.0.1"],
    ["the proxy's, if it forwards something other than an address", "1", "10.0.0.1", "1.1.1.1, unknown", "10.0.0.1"],
    ["the IPv4 address in an IPv4-mapped IPv6 address", "", "::ffff:203.0.113.9", undefined, "203.0.113.9"],
    ["normalized, if it is IPv6", "1", "10.0.0.1", "2001:DB8:0:0::0:1", "2001:db8::1"],
  ] as const)("%s", ([, trusted, peer, forwardedFor, address]) => {
    expect(client(trusted, peer, forwardedFor).address).toBe(address);
  });
});

test("only the nearest trusted proxy can report that the client used HTTPS", () => {
  expect(client("1", "10.0.0.1", "203.0.113.9", "https").isHttps).toBe(true);
  expect(client("1", "10.0.0.1", "203.0.113.9", "https, http").isHttps).toBe(false);
  expect(client("1", "10.0.0.1", "203.0.113.9").isHttps).toBe(false);
  expect(client("", "203.0.113.9", undefined, "https").isHttps).toBe(false);
});

test.for(["10.0.0.0/33", "10.0.0/8", "proxy.example", "1.5", "-1", "100"])(
  "%s is neither a number of proxies nor a network",
  (text) => {
    expect(() => trusting(text)).toThrow(/number of proxies, or networks/);
  },
);

test("a client is limited by its IPv6 /64, all of which it controls, or by its IPv4 address", () => {
  expect(networkOf("203.0.113.9")).toBe("203.0.113.9");
  expect(networkOf("2001:db8::1")).toBe("2001:db8:0:0::/64");
  expect(networkOf("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1:2::/64");
  expect(networkOf("::1")).toBe("0:0:0:0::/64");
  expect(networkOf("unknown")).toBe("unknown");
});

test("fair shares count a client by its network, and by the IPv4 /24 or IPv6 /48 around it", () => {
  expect(sharersOf("203.0.113.9")).toEqual(["203.0.113.9", "203.0.113.0/24"]);
  expect(sharersOf("2001:db8:1:2:3:4:5:6")).toEqual(["2001:db8:1:2::/64", "2001:db8:1::/48"]);
  expect(sharersOf("::1")).toEqual(["0:0:0:0::/64", "0:0:0::/48"]);
  expect(sharersOf("unknown")).toEqual(["unknown", "unknown"]);
});
