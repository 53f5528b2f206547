import { once } from "node:events";
import * as http2 from "node:http2";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { expect, onTestFinished, test } from "vitest";
import { openTestPort } from "./testing/test-port.ts";

test.each([1_100_000, 1_500_000, 5_000_000])(
  "a gRPC call with a message of %d bytes, which is too large, is answered, and ends once its sender is done",
  async (bytes) => {
    const { port } = await openTestPort();
    const session = http2.connect(`http://127.0.0.1:${port}`);
    onTestFinished(() => session.destroy());
    const stream = session.request({
      ":method": "POST",
      ":path": "/shop.common.v1.DeadLetterService/GetDeadLetter",
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    let status: unknown;
    stream.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    stream.resume();
    stream.end(encodeEnvelope(0, new Uint8Array(bytes)));
    await once(stream, "close");
    expect(status).toBe("8");
    expect(stream.rstCode).toBe(0);
  },
);
