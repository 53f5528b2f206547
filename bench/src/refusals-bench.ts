import { once } from "node:events";
import * as http2 from "node:http2";
import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { allServices } from "@shop/topology/contracts";
import { type LoadResult, load, type Request } from "./load.ts";
import { processorTimeMs } from "./processor-time.ts";
import type { BenchSettings } from "./settings.ts";
import { table } from "./table.ts";
import { withShop } from "./with-shop.ts";
import { type WorstRequest, worstRequests } from "./worst-requests.ts";

const productCount = 50;
const usualSeconds = 15;
const callsOfEach = 20;
/** What a refusal may cost. A figure above it is measured again, since other work on the machine can only add to it. */
const maxCpuMs = 20;
const attempts = 3;
const readsPerSecond = 100;
const refusalsPerSecond = 50;
/** After which a stream that sends nothing was not refused. */
const streamMs = 3_000;

const methods: readonly DescMethod[] = allServices
  .flatMap((service): readonly DescMethod[] => service.methods)
  .filter((method) => getOption(method, access) !== Access.INTERNAL);

interface Refusal extends Cost {
  readonly method: DescMethod;
  readonly request: WorstRequest;
}

/** The cost of refusing the worst requests, and its effect on reads of products. */
export async function benchRefusals(settings: BenchSettings): Promise<string> {
  const seconds = settings.seconds ?? usualSeconds;
  return await withShop(productCount, async (shop, shopping, productIds) => {
    const pid = shop.pidOf("all-in-one");
    const session = http2.connect(shop.url);
    const refusals: Refusal[] = [];
    for (const method of methods) {
      const authorization = `Bearer ${await shopping.signInAdmin()}`;
      for (const request of worstRequests(method)) {
        const headers = { ...request.headers, authorization };
        const send = () =>
          request.httpVersion === 1
            ? overHttp1(shop.url, { ...request, headers })
            : overHttp2(session, { ...request, headers });
        let cost = await measured(pid, send);
        for (let again = 1; again < attempts && cost !== undefined && cost.cpuMs > maxCpuMs; again++)
          cost = lower(cost, await measured(pid, send));
        if (cost !== undefined) refusals.push({ method, request, ...cost });
      }
      const worst = worstOf(refusals.filter((refusal) => refusal.method === method));
      console.log(`${method.name}: ${worst.cpuMs.toFixed(1)} ms, ${worst.request.says}`);
    }
    session.close();

    const reads = productIds.map((id): Request => ({ method: "GET", path: `/products/${id}` }));
    const read = () =>
      load({ url: shop.url, requests: reads, connections: 8, seconds, callsPerSecond: readsPerSecond });
    await read();
    const calm = await read();
    const worst = worstOf(
      refusals.filter(
        ({ request, method }) =>
          request.says.startsWith("Connect JSON, a") && getOption(method, access) === Access.PUBLIC,
      ),
    );
    const { path, headers, body } = worst.request;
    const storm = load({
      ...{ url: shop.url, connections: 8, seconds, callsPerSecond: refusalsPerSecond },
      requests: [{ method: "POST", path, headers, body: Buffer.from(body!).toString() }],
    });
    const [beside, answered] = await Promise.all([read(), storm]);
    return describe(refusals, calm, beside, answered, worst, seconds);
  });
}

interface Cost {
  readonly cpuMs: number;
  readonly bytes: number;
}

function lower(one: Cost, other: Cost | undefined): Cost {
  return other !== undefined && other.cpuMs < one.cpuMs ? other : one;
}

interface Answer {
  readonly isRefusal: boolean;
  /** Of the body, and of the trailers that say why. */
  readonly bytes: number;
}

/** Undefined for requests that are not refused: repeated empty texts may be valid. */
async function measured(pid: number, send: () => Promise<Answer>): Promise<Cost | undefined> {
  const before = processorTimeMs(pid);
  let largest = 0;
  for (let call = 0; call < callsOfEach; call++) {
    const { isRefusal, bytes } = await send();
    if (!isRefusal) return undefined;
    largest = Math.max(largest, bytes);
  }
  return { cpuMs: (processorTimeMs(pid) - before) / callsOfEach, bytes: largest };
}

async function overHttp1(url: string, { path, verb, headers, body }: WorstRequest): Promise<Answer> {
  const leaving = new AbortController();
  const response = await fetch(url + path, {
    ...{ method: verb, headers, signal: leaving.signal },
    ...(body && { body: new Uint8Array(body) }),
  });
  const type = response.headers.get("content-type") ?? "";
  // A stream that was not refused does not end by itself.
  const late = setTimeout(() => leaving.abort(), streamMs);
  try {
    const answer = Buffer.from(await response.arrayBuffer());
    const isStream = type.startsWith("application/grpc") || type.startsWith("application/connect+");
    const succeeded = isStream ? !/grpc-status: [1-9]|"error"/.test(answer.toString("latin1")) : response.ok;
    return { isRefusal: !succeeded, bytes: answer.byteLength };
  } catch {
    return { isRefusal: false, bytes: 0 };
  } finally {
    clearTimeout(late);
  }
}

async function overHttp2(session: http2.ClientHttp2Session, { path, headers, body }: WorstRequest): Promise<Answer> {
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  let [status, bytes] = ["0", 0];
  for (const event of ["response", "trailers"])
    stream.on(event, (fields: http2.IncomingHttpHeaders) => {
      status = String(fields["grpc-status"] ?? status);
      for (const [name, value] of Object.entries(fields)) bytes += name.length + String(value).length;
    });
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.byteLength;
  });
  // A server that has refused reads no further.
  stream.on("error", () => {});
  const late = setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), streamMs);
  stream.end(body);
  await once(stream, "close");
  clearTimeout(late);
  return { isRefusal: status !== "0", bytes };
}

function worstOf(refusals: readonly Refusal[]): Refusal {
  return refusals.reduce((worst, one) => (one.cpuMs > worst.cpuMs ? one : worst));
}

function describe(
  refusals: readonly Refusal[],
  calm: LoadResult,
  beside: LoadResult,
  answered: LoadResult,
  worst: Refusal,
  seconds: number,
): string {
  const rows = methods.map((method) => {
    const own = refusals.filter((refusal) => refusal.method === method);
    const { request, cpuMs } = worstOf(own);
    return [method.name, cpuMs.toFixed(1), request.says, String(Math.max(...own.map(({ bytes }) => bytes)))];
  });
  const row = (name: string, { perSecond, p50Ms, p99Ms }: LoadResult) => [
    name,
    ...[perSecond, p50Ms, p99Ms].map((figure) => figure.toFixed(1)),
  ];
  const count = Object.values(answered.refused).reduce((sum, one) => sum + one, 0);
  return [
    `Requests that are refused, at the public port of the shop in one process, by an administrator, one after the other, ${callsOfEach} of each: over`,
    "Connect, gRPC-Web, gRPC (HTTP/2) and REST, plain and compressed, with a megabyte of items, 64 KiB of items, of unknown fields, of one text, of",
    "levels, and as many items as are decoded; routes without a body with 12 KB of query.",
    `Processor time is that of the process of the shop, in ticks of 10 ms; of figures above ${maxCpuMs} ms the lowest of ${attempts}. Bounds: ${maxCpuMs} ms and 16,384 bytes.`,
    "",
    ...table(["method", "CPU ms", "of", "largest answer, bytes"], rows),
    "",
    `Reads are GET /products/{id}, ${readsPerSecond} a second for ${seconds} s; meanwhile ${refusalsPerSecond} calls a second of ${worst.method.name}`,
    `(${worst.request.says}), of which ${count} were refused.`,
    "",
    ...table(["", "a second", "p50 ms", "p99 ms"], [row("reads without load", calm), row("beside refusals", beside)]),
  ].join("\n");
}
