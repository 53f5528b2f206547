import { once } from "node:events";
import { connect } from "node:net";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { endHeaders, endStream, frame, headerBlock, opening, reset } from "@shop/http-port/testing/http2-frames";
import { createMetrics } from "@shop/runtime";
import { silentLog } from "@shop/runtime/testing";
import { describe, expect, test } from "vitest";
import { forwarding, openTestPort } from "./testing/test-port.ts";

const list = `/${DeadLetterService.typeName}/ListDeadLetters`;
const requests: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  gRPC: { ":method": "POST", ":path": list, "content-type": "application/grpc", te: "trailers" },
  "gRPC-Web": { ":method": "POST", ":path": list, "content-type": "application/grpc-web+proto" },
  Connect: { ":method": "POST", ":path": list, "content-type": "application/proto" },
  REST: { ":method": "GET", ":path": "/admin/dead-letters" },
  "an unknown path": { ":method": "GET", ":path": "/nothing" },
  health: { ":method": "GET", ":path": "/healthz" },
  CONNECT: { ":method": "CONNECT" },
};
const ends: Readonly<Record<string, Buffer>> = {
  "a connection error (DATA on stream 0)": frame("data", 0, 0, Buffer.from("x")),
  "a frame that is too large": frame("data", 0, 1, Buffer.alloc(16_385)),
  "GOAWAY with an error": frame("goaway", 0, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, 1])),
  "RST_STREAM (NO_ERROR)": reset(1, 0),
  "RST_STREAM (CANCEL)": reset(1, 8),
  "a stream error (WINDOW_UPDATE of 0)": frame("windowUpdate", 0, 1, Buffer.alloc(4)),
};

describe.each(["hosted", "forwarded"])(
  "a port whose method is %s survives, after a request in the same packet,",
  (kind) => {
    test.each(Object.keys(ends))("%s", async (end) => {
      const metrics = createMetrics(silentLog);
      const hosted = await openTestPort({ metrics });
      const forwards = { metrics, ...forwarding(`http://127.0.0.1:${hosted.port}`) };
      const { port } = kind === "hosted" ? hosted : await openTestPort(forwards);
      for (const fields of Object.values(requests)) {
        for (const expectation of [{}, { expect: "100-continue" }, { expect: "the impossible" }]) {
          for (const flags of [endHeaders, endHeaders | endStream]) {
            const { ":method": method, ...rest } = fields;
            const pseudo = method === "CONNECT" ? {} : { ":scheme": "http" };
            const head = headerBlock({ ":method": method!, ...pseudo, ":authority": "a", ...rest, ...expectation });
            await attack(port, opening(frame("headers", flags, 1, head), ends[end]!));
          }
        }
      }
      // An exception that is not contained fails the whole run: it is thrown in this process.
      expect(await metrics.text()).not.toContain('kind="exception"');
      expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    });
  },
);

/** Sends the bytes in one packet, and closes the connection after the first answer. */
async function attack(port: number, bytes: Buffer): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // 'close' follows.
  const closed = once(socket, "close");
  socket.once("data", () => socket.destroy());
  socket.write(bytes);
  await closed;
}
