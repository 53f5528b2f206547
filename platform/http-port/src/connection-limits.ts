import type { Socket } from "node:net";
import { networkOf, peerOf, type TrustsProxy } from "./client-address.ts";

/** How many open connections a port allows; 0 means unlimited. */
export interface ConnectionLimits {
  readonly total: number;
  /** From one IPv4 address or IPv6 /64. Does not apply to trusted proxies, which carry many clients. */
  readonly perAddress: number;
}

/** A connection that was refused because of a limit. */
export interface RefusedConnection {
  readonly limit: "total" | "address";
  readonly address: string;
}

/**
 * Admits or refuses each connection before anything on it is read, by the peer's address, since what a proxy reports about its
 * clients arrives too late. An admitted connection counts until its socket is closed.
 */
export function limitConnections(
  { total, perAddress }: ConnectionLimits,
  trustsProxy: TrustsProxy,
  onRefused: (refusal: RefusedConnection) => void,
): (socket: Socket) => boolean {
  let open = 0;
  const openFrom = new Map<string, number>();

  return (socket) => {
    const address = peerOf(socket);
    const network = perAddress === 0 || trustsProxy(address, 0) ? undefined : networkOf(address);
    const fromThere = network === undefined ? 0 : (openFrom.get(network) ?? 0);
    if (network !== undefined && fromThere >= perAddress) {
      onRefused({ limit: "address", address });
      return false;
    }
    if (total > 0 && open >= total) {
      onRefused({ limit: "total", address });
      return false;
    }
    open++;
    if (network !== undefined) openFrom.set(network, fromThere + 1);
    socket.once("close", () => {
      open--;
      if (network === undefined) return;
      const left = openFrom.get(network)! - 1;
      if (left === 0) openFrom.delete(network);
      else openFrom.set(network, left);
    });
    return true;
  };
}
