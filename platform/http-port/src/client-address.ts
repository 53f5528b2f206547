import { isIP, type Socket } from "node:net";
import type { AnyRequest } from "./any-request.ts";

/**
 * Carries the address of the client from the public port to whatever limits by it. Every port sets it: a service's own port
 * keeps what a request brought only when a service that forwards to it says so, by {@link forwardingCredentialHeader}.
 */
export const clientAddressHeader = "x-client-address";

/** The credential of the service that forwards the request to another one; it stands for the client's address alone. */
export const forwardingCredentialHeader = "x-forwarding-credential";

/** Carries the credential of the service that calls. Public ports never forward it. */
export const internalCredentialHeader = "x-internal-credential";

/** Whether the machine at this address, so many hops away from us, is a proxy whose word we take. */
export type TrustsProxy = (address: string, hop: number) => boolean;

/** The client behind a request to a public port, as the proxies that are trusted tell it. */
export function clientOf(
  request: Pick<AnyRequest, "headers"> & { readonly socket: Pick<Socket, "remoteAddress"> },
  trustsProxy: TrustsProxy,
): { readonly address: string; readonly isHttps: boolean } {
  const peer = peerOf(request.socket);
  const { "x-forwarded-for": before, "x-forwarded-proto": scheme } = request.headers;
  return {
    address: before === undefined ? peer : addressBehind(peer, String(before), trustsProxy),
    isHttps: scheme !== undefined && saysHttps(String(scheme)) && trustsProxy(peer, 0),
  };
}

function addressBehind(peer: string, forwardedFor: string, trustsProxy: TrustsProxy): string {
  let address = peer;
  for (const [hop, said] of forwardedFor.split(",").reverse().entries()) {
    const before = trustsProxy(address, hop) ? normalized(said.trim()) : undefined;
    if (before === undefined) break;
    address = before;
  }
  return address;
}

function saysHttps(schemes: string): boolean {
  return schemes.split(",").at(-1)!.trim().toLowerCase() === "https";
}

const peers = new WeakMap<object, string>();

/** The machine at the other end of the connection. */
export function peerOf(socket: Pick<Socket, "remoteAddress">): string {
  const known = peers.get(socket);
  if (known !== undefined) return known;
  const peer = normalized(socket.remoteAddress ?? "");
  if (peer !== undefined) peers.set(socket, peer);
  return peer ?? "unknown";
}

/** The address of the client that made a call: of use for limits, never for permissions. */
export function clientAddressOf({ requestHeader }: { readonly requestHeader: Headers }): string {
  return requestHeader.get(clientAddressHeader) ?? "unknown";
}

/** What one client can have as many of as it likes counts as one: a /64 of IPv6, an address of IPv4. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = "", tail] = address.split("::");
  const groups = head.split(":").filter((group) => group !== "");
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(":").filter((group) => group !== "").length;
  return `${[...groups, ...Array<string>(missing).fill("0")].slice(0, 4).join(":")}::/64`;
}

/** How many networks of {@link networkOf} a site counts as, at most, where a limit is per network. */
export const networksPerSite = 2;

/**
 * The networks that an address is counted in where something is shared out: its own (see {@link networkOf}), and the /24 of
 * IPv4 or /48 of IPv6 around it, which is what one customer of a provider is commonly given.
 */
export function sharersOf(address: string): readonly [network: string, site: string] {
  const network = networkOf(address);
  switch (isIP(address)) {
    case 4:
      return [network, `${address.slice(0, address.lastIndexOf("."))}.0/24`];
    case 6:
      return [network, `${network.slice(0, network.lastIndexOf(":", network.indexOf("::") - 1))}::/48`];
    default:
      return [network, network];
  }
}

/** One spelling per address; undefined if it is none. */
function normalized(text: string): string | undefined {
  const address = text.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  switch (isIP(address)) {
    case 4:
      return address;
    case 6:
      return new URL(`http://[${address}]`).hostname.slice(1, -1);
    default:
      return undefined;
  }
}
