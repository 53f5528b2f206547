import { connect, type Socket } from "node:net";
import { inTrace } from "@shop/core";
import type { ListenerGuard } from "@shop/http-port";

/**
 * Opens a guarded TCP connection. Rejects with the socket's error if it is refused, or not established in time.
 *
 * @param origin `http://host:port`
 */
export function openSocket(
  origin: string,
  { connectTimeoutMs, guard }: { readonly connectTimeoutMs: number; readonly guard: ListenerGuard },
): Promise<Socket> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const target = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80), noDelay: true };
    // Its later events belong to no call, although one opened it.
    const socket = inTrace(undefined, () => connect(target));
    guard("connection", socket);
    const deadline = setTimeout(() => socket.destroy(new Error("timed out")), connectTimeoutMs);
    const fail = (cause: unknown) => {
      clearTimeout(deadline);
      reject(cause);
    };
    socket.once("error", fail).once("connect", () => {
      clearTimeout(deadline);
      socket.off("error", fail);
      resolve(socket);
    });
  });
}
