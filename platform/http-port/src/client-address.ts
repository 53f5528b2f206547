import { isIP, type Socket } from "node:net";
import type { AnyRequest } from "./any-request.ts";

/**
 * The address of the client, set by the public port for everything that limits by client. Every port sets it: a service's own
 * port keeps the value of a request only if the request proves by {@link forwardingCredentialHeader} that a trusted service
 * forwarded it.
 */
export const clientAddressHeader = "x-client-address";

/** The credential of a service that forwards a request. It vouches for the client's address only. */
export const forwardingCredentialHeader = "x-forwarding-credential";

/** The credential of the calling service. Public ports never forward it. */
export const internalCredentialHeader = "x-internal-credential";

/** Whether the machine at this address, `hop` hops away, is a trusted proxy. */
export type TrustsProxy = (address: string, hop: number) => boolean;

/** The client of a request to a public port, as reported by the trusted proxies. */
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
  for (const [hop, reported] of forwardedFor.split(",").reverse().entries()) {
    const before = trustsProxy(address, hop) ? normalized(reported.trim()) : undefined;
    if (before === undefined) break;
    address = before;
  }
  return address;
}

function saysHttps(schemes: string): boolean {
  return schemes.split(",").at(-1)!.trim().toLowerCase() === "https";
}

const peers = new WeakMap<object, string>();

/** The remote address of the connection; "unknown" once it is closed and was never read. */
export function peerOf(socket: Pick<Socket, "remoteAddress">): string {
  const known = peers.get(socket);
  if (known !== undefined) return known;
  const peer = normalized(socket.remoteAddress ?? "");
  if (peer !== undefined) peers.set(socket, peer);
  return peer ?? "unknown";
}

/** The address of the client that made a call: for limits only, never for permissions. */
export function clientAddressOf({ requestHeader }: { readonly requestHeader: Headers }): string {
  return requestHeader.get(clientAddressHeader) ?? "unknown";
}

/**
 * The network that a client's limits apply to: a /64 of IPv6, any address of which one client can use, or an address of IPv4.
 */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = "", tail] = address.split("::");
  const groups = head.split(":").filter((group) => group !== "");
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(":").filter((group) => group !== "").length;
  return `${[...groups, ...Array<string>(missing).fill("0")].slice(0, 4).join(":")}::/64`;
}

/** How many networks of {@link networkOf} a site may use at most, if a limit is per network. */
export const networksPerSite = 2;

/**
 * The networks that an address counts towards in fair shares: its own (see {@link networkOf}), and the IPv4 /24 or IPv6 /48
 * around it, which providers commonly assign to one customer.
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

/** The canonical spelling of an address; undefined if it is not one. */
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
