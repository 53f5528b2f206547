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
    ["its own, whatever it says, where no proxy is trusted", "", "203.0.113.9", "1.1.1.1", "203.0.113.9"],
    ["its own, whatever it says, with 0 proxies", "0", "203.0.113.9", "1.1.1.1", "203.0.113.9"],
    [
      "what the one trusted proxy saw, not what the client said",
      "1",
      "10.0.0.1",
      "1.1.1.1, 203.0.113.9",
      "203.0.113.9",
    ],
    ["what the second of two proxies saw", "2", "10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"],
    ["the furthest that is known, behind fewer proxies", "3", "10.0.0.1", "203.0.113.9", "203.0.113.9"],
    [
      "what comes before trusted networks",
      "10.0.0.0/8, fd00::/8",
      "10.1.1.1",
      "1.1.1.1, 203.0.113.9, fd00::2",
      "203.0.113.9",
    ],
    ["its own, outside of the trusted networks", "10.0.0.0/8", "203.0.113.9", "1.1.1.1", "203.0.113.9"],
    ["the proxy's, where that says nothing", "1", "10.0.0.1", undefined, "10.0.0.1"],
    ["the proxy's, where that says what is no address", "1", "10.0.0.1", "1.1.1.1, unknown", "10.0.0.1"],
    ["without what IPv6 puts around IPv4", "", "::ffff:203.0.113.9", undefined, "203.0.113.9"],
    ["in one spelling of IPv6", "1", "10.0.0.1", "2001:DB8:0:0::0:1", "2001:db8::1"],
  ] as const)("%s", ([, trusted, peer, said, address]) => {
    expect(client(trusted, peer, said).address).toBe(address);
  });
});

test("only a trusted proxy can say that it was asked over HTTPS, and only the nearest", () => {
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

test("a client is limited by its /64 of IPv6, since it has all of it, and by its address of IPv4", () => {
  expect(networkOf("203.0.113.9")).toBe("203.0.113.9");
  expect(networkOf("2001:db8::1")).toBe("2001:db8:0:0::/64");
  expect(networkOf("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1:2::/64");
  expect(networkOf("::1")).toBe("0:0:0:0::/64");
  expect(networkOf("unknown")).toBe("unknown");
});

test("what is shared out counts a client by its network and by the /24 of IPv4 or /48 of IPv6 around it", () => {
  expect(sharersOf("203.0.113.9")).toEqual(["203.0.113.9", "203.0.113.0/24"]);
  expect(sharersOf("2001:db8:1:2:3:4:5:6")).toEqual(["2001:db8:1:2::/64", "2001:db8:1::/48"]);
  expect(sharersOf("::1")).toEqual(["0:0:0:0::/64", "0:0:0::/48"]);
  expect(sharersOf("unknown")).toEqual(["unknown", "unknown"]);
});
