import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type LinkFault, openLink } from "./link.ts";

/** A link to a server that answers every chunk with the same one in capitals. */
async function shouting() {
  const received: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received.push(String(chunk));
      socket.write(String(chunk).toUpperCase());
    });
  });
  await listen(server, 0);
  const { port } = server.address() as AddressInfo;
  const link = await openLink(port);
  onTestFinished(async () => {
    await link.close();
    server.close();
  });
  const dial = async (to = link.port) => {
    const socket = connect(to, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  return { link, server, port, received, dial };
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}

const answerOf = async (socket: Socket) => String((await once(socket, "data"))[0]);

test("a working link forwards both directions, and the end of either side", async () => {
  const { dial } = await shouting();
  const socket = await dial();
  socket.write("tea");
  expect(await answerOf(socket)).toBe("TEA");
  socket.end();
  await once(socket, "end");
});

test("a slow link adds its delay in each direction, and forwards no more than its bandwidth", async () => {
  const { link, dial } = await shouting();
  const socket = await dial();
  link.suffer({ kind: "slow", delayMs: 50, jitterMs: 0, bytesPerSecond: 10_000 });
  const began = performance.now();
  socket.write("x".repeat(1_000));
  await answerOf(socket);
  expect(performance.now() - began).toBeGreaterThanOrEqual(2 * (50 + 100) - 10);
  link.suffer();
  socket.write("tea");
  expect(await answerOf(socket)).toBe("TEA");
});

test("a reset link resets existing and new connections, until it is restored", async () => {
  const { link, dial } = await shouting();
  const socket = await dial();
  const broken = once(socket, "error");
  link.suffer({ kind: "reset" });
  expect((await broken)[0].code).toBe("ECONNRESET");
  const [error] = await once(connect(link.port, "127.0.0.1"), "error");
  expect(error.code).toBe("ECONNRESET");
  link.suffer();
  const next = await dial();
  next.write("tea");
  expect(await answerOf(next)).toBe("TEA");
});

test.each<[LinkFault["kind"] & ("cut" | "deaf" | "mute"), string[]]>([
  ["cut", []],
  ["deaf", []],
  ["mute", ["tea"]],
])(
  "on a link that is %s nothing is answered, the server gets %j, and everything arrives once it is restored",
  async (kind, heardMeanwhile) => {
    const { link, port, received, dial } = await shouting();
    const socket = await dial();
    link.suffer({ kind });
    socket.write("tea");
    const newcomer = await dial();
    newcomer.write("milk");
    const events: string[] = [];
    const answers = [socket, newcomer].map(async (one) => void events.push(await answerOf(one)));
    // Meanwhile a client on another link is answered repeatedly.
    const passer = await dial(port);
    for (let time = 0; time < 5; time++) {
      passer.write("sugar");
      expect(await answerOf(passer)).toBe("SUGAR");
    }
    if (heardMeanwhile.length > 0) await expect.poll(() => received).toContain("tea");
    expect(received.filter((word) => !["milk", "sugar"].includes(word))).toEqual(heardMeanwhile);
    events.push("whole");
    link.suffer();
    await Promise.all(answers);
    expect([events[0], ...events.slice(1).toSorted()]).toEqual(["whole", "MILK", "TEA"]);
  },
);

test("a link does not listen while its server is gone, and listens once it is back", async () => {
  const { server, port, dial } = await shouting();
  const accepted = once(server, "connection");
  const socket = await dial();
  const [behind] = (await accepted) as [Socket];
  const broken = once(socket, "error");
  server.close();
  behind.resetAndDestroy();
  await broken;
  await expect.poll(() => dial().catch((error) => error.code)).toBe("ECONNREFUSED");
  await listen(server, port);
  const isThere = () =>
    dial().then(
      () => true,
      () => false,
    );
  await expect.poll(isThere).toBe(true);
  const again = await dial();
  again.write("tea");
  expect(await answerOf(again)).toBe("TEA");
});
