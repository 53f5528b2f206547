import { createServer } from "node:http";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { muxPreface } from "@shop/http-port";
import type { PortMetrics } from "@shop/rpc-server";
import { forwarding, openTestPort } from "@shop/rpc-server/testing/port";
import { openTap } from "@shop/rpc-server/testing/tap";
import { expect, onTestFinished, test, vi } from "vitest";

const method = "shop.common.v1.DeadLetterService/GetDeadLetter";

/** A port that forwards to another one, and the codes that it has counted. */
async function openForwarding(upstreamUrl?: string, more: Parameters<typeof openTestPort>[0] = {}) {
  const upstream = await openTestPort({
    isPublic: false,
    hosted: () => (router) =>
      router.service(DeadLetterService, {
        async getDeadLetter({ deadLetterId }) {
          if (deadLetterId === "1") return {};
          if (deadLetterId === "4") await new Promise(() => {});
          throw new ConnectError("no", deadLetterId === "2" ? Code.NotFound : Code.Unavailable);
        },
      }),
  });
  const tap = await openTap(upstream.port);
  const called = vi.fn<PortMetrics["called"]>();
  const metrics = { called, connectionRefused() {}, bytesRefused() {}, networkError() {} };
  const { port } = await openTestPort({
    ...forwarding(upstreamUrl ?? `http://127.0.0.1:${tap.port}`),
    metrics,
    ...more,
  });
  return {
    url: `http://127.0.0.1:${port}`,
    /** Whether a call was multiplexed. */
    multiplexed: () => tap.multiplexedBytes > muxPreface.byteLength,
    codes: () => called.mock.calls.map(([name, code]) => `${name} ${code}`),
    seconds: () => called.mock.calls.map(([, , seconds]) => seconds),
  };
}

const transports: readonly [string, (baseUrl: string) => Transport][] = [
  ["Connect", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect over HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
];

test.for(transports)("a forwarded call is counted and timed once, with its code, over %s", async ([, transportTo]) => {
  const { url, codes, seconds } = await openForwarding();
  const client = createClient(DeadLetterService, transportTo(url));
  for (const deadLetterId of ["1", "2", "3"]) await client.getDeadLetter({ deadLetterId }).catch(() => {});
  await vi.waitFor(() => expect(codes()).toEqual([`${method} ok`, `${method} not_found`, `${method} unavailable`]));
  for (const took of seconds()) expect(took).toBeGreaterThan(0);
});

test("a forwarded call is counted with its code over REST", async () => {
  const { url, codes } = await openForwarding();
  for (const id of [1, 2, 3]) await (await fetch(`${url}/admin/dead-letters/${id}`)).text();
  await vi.waitFor(() => expect(codes()).toEqual([`${method} ok`, `${method} not_found`, `${method} unavailable`]));
});

test("a call that no replica answers is counted as unavailable", async () => {
  const { url, codes } = await openForwarding("http://127.0.0.1:1");
  await (await fetch(`${url}/admin/dead-letters/1`)).text();
  await vi.waitFor(() => expect(codes()).toEqual([`${method} unavailable`]));
});

test("a call whose caller cannot be authorized at the moment is counted as unavailable", async () => {
  const authorize = async () => {
    throw new ConnectError("no keys", Code.Unavailable);
  };
  const { url, codes } = await openForwarding(undefined, { authorize });
  expect((await fetch(`${url}/admin/dead-letters/1`)).status).toBe(503);
  expect(codes()).toEqual([`${method} unavailable`]);
});

test("a call whose caller goes away is counted as canceled", async () => {
  const arrived = vi.fn();
  const { url, codes } = await openForwarding(await openSilentPort(arrived));
  const leaving = new AbortController();
  const answer = fetch(`${url}/admin/dead-letters/1`, { signal: leaving.signal }).catch(() => {});
  await vi.waitFor(() => expect(arrived).toHaveBeenCalled());
  leaving.abort();
  await answer;
  await vi.waitFor(() => expect(codes()).toEqual([`${method} canceled`]));
});

test("on a multiplexed connection a call that is given up is counted, at its deadline and when its caller goes away", async () => {
  const { url, codes, multiplexed } = await openForwarding();
  await vi.waitFor(async () => {
    await (await fetch(`${url}/admin/dead-letters/1`)).text();
    expect(multiplexed()).toBe(true);
  });
  const answered = codes().length;
  const hangs = `${url}/admin/dead-letters/4`;
  await (await fetch(hangs, { headers: { "connect-timeout-ms": "50" } })).text();
  await vi.waitFor(() => expect(codes().slice(answered)).toEqual([`${method} deadline_exceeded`]));
  await fetch(hangs, { signal: AbortSignal.timeout(50) }).catch(() => {});
  await vi.waitFor(() =>
    expect(codes().slice(answered)).toEqual([`${method} deadline_exceeded`, `${method} canceled`]),
  );
});

/** A port that reads requests and never answers. */
async function openSilentPort(arrived: () => void): Promise<string> {
  const server = createServer(arrived);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}
