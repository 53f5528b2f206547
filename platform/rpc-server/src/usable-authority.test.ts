import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test, vi } from "vitest";
import { openTestPort } from "./testing/test-port.ts";

test.each([
  ["that is not valid in a URL", "HTTP/1.1\r\nHost: a b\r\nConnection: close"],
  ["that is empty", "HTTP/1.1\r\nHost: \r\nConnection: close"],
  ["that is absent", "HTTP/1.0"],
])("a call with a Host %s is answered, and writes nothing to the console", async (_, version) => {
  const console_ = vi.spyOn(console, "error");
  onTestFinished(() => console_.mockRestore());
  const { port } = await openTestPort();
  const socket = connect(port, "127.0.0.1");
  socket.write(
    `POST /grpc.health.v1.Health/Check ${version}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
  );
  expect(await text(socket)).toContain("SERVING");
  expect(console_).not.toHaveBeenCalled();
});
