import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { muxPreface } from "@shop/http-port";
import { onTestFinished } from "vitest";

/** A way to a port on which one sees how its connections are used. */
export interface Tap {
  readonly port: number;
  /** Bytes sent to the port on multiplexed connections. */
  readonly multiplexedBytes: number;
  /** Bytes sent to the port over HTTP. */
  readonly httpBytes: number;
}

/** Opens a port that passes everything on to another one, until the test ends. */
export async function openTap(target: number): Promise<Tap> {
  const bytes = { mux: 0, http: 0 };
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    let version: keyof typeof bytes | undefined;
    client.on("data", (chunk: Buffer) => {
      version ??= chunk.subarray(0, muxPreface.length).equals(muxPreface) ? "mux" : "http";
      bytes[version] += chunk.byteLength;
    });
    client.pipe(upstream).pipe(client);
    client.on("error", () => upstream.destroy()).on("close", () => upstream.destroy());
    upstream.on("error", () => client.destroy()).on("close", () => client.destroy());
    onTestFinished(() => void client.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  return {
    port: (server.address() as AddressInfo).port,
    get multiplexedBytes() {
      return bytes.mux;
    },
    get httpBytes() {
      return bytes.http;
    },
  };
}
