import type { Socket } from "node:net";
import { networkOf, peerOf, type TrustsProxy } from "./client-address.ts";

/** How many connections a port holds at the same time, whatever is said on them; 0 for as many as come. */
export interface ConnectionLimits {
  readonly total: number;
  /** From one address of IPv4 or one /64 of IPv6, unless it is a trusted proxy's: behind that are many clients. */
  readonly perAddress: number;
}

/** A connection that was over a limit. */
export interface RefusedConnection {
  readonly limit: "total" | "address";
  readonly address: string;
}

/**
 * Decides about each connection before anything on it is read, by the address of whoever connects: what a proxy says about its
 * clients comes too late. What is admitted is counted until its socket is closed, whoever reads from it by then.
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
