import { Code, ConnectError, type ConnectRouter, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { describe, expect, test } from "vitest";
import { forwarding, openTestPort } from "../testing/test-port.ts";

const forAnybody = "public, max-age=1, stale-while-revalidate=5";
const rest = "/.well-known/jwks.json";
const connectGet = `/${TokenKeyService.typeName}/ListTokenKeys?connect=v1&encoding=json&message=%7B%7D`;
const services = [TokenKeyService, DeadLetterService];

/** A port that answers itself, or one that forwards to it: the URL of either. */
const shapes = {
  "answers itself": async (service: Hosted) => urlOf(await openHost(service, true)),
  forwards: async (service: Hosted) => {
    const url = urlOf(await openHost(service, false));
    return urlOf(await openTestPort({ services, corsOrigins, ...forwarding(url, services) }));
  },
};
type Hosted = (router: ConnectRouter) => void;
const corsOrigins = ["http://web.example"];
const urlOf = ({ port }: { readonly port: number }) => `http://127.0.0.1:${port}`;
const openHost = (register: Hosted, isPublic: boolean) =>
  openTestPort({ services, isPublic, corsOrigins: isPublic ? corsOrigins : [], hosted: () => register });

describe.for(Object.entries(shapes))("a port that %s", ([, open]) => {
  let kid = "1";
  const keys: Hosted = (router) => {
    router.service(TokenKeyService, {
      listTokenKeys: async () => {
        if (kid === "") throw new ConnectError("no keys", Code.Unavailable);
        return { keys: [{ kid, x: "x".repeat(3_000) }] };
      },
    });
    router.service(DeadLetterService, { listDeadLetters: async () => ({}) });
  };

  test("makes answers to GET of public reads cacheable, over REST and Connect, but no errors", async () => {
    kid = "1";
    const url = await open(keys);
    for (const path of [rest, connectGet]) {
      const read = await fetch(`${url}${path}`);
      expect([read.status, read.headers.get("cache-control")]).toEqual([200, forAnybody]);
    }
    kid = "";
    for (const path of [rest, connectGet]) {
      const failed = await fetch(`${url}${path}`);
      expect([failed.status, failed.headers.get("cache-control")]).toEqual([503, "no-store"]);
    }
  });

  test("forbids caches to store answers of methods that are not PUBLIC, or of POST", async () => {
    kid = "1";
    const url = await open(keys);
    const forSome = await fetch(`${url}/admin/dead-letters?consumer=some`);
    const json = { "content-type": "application/json" };
    const posted = await fetch(`${url}${connectGet.split("?")[0]}`, { method: "POST", headers: json, body: "{}" });
    for (const { status, headers } of [forSome, posted])
      expect([status, headers.get("cache-control")]).toEqual([200, "no-store"]);
  });

  test("answers 304 without a body to a matching If-None-Match, for GET and HEAD, until the answer changes", async () => {
    kid = "1";
    const url = await open(keys);
    const first = await fetch(`${url}${rest}`);
    const etag = first.headers.get("etag")!;
    expect(etag).toMatch(/^"[\w-]{22}"$/);
    for (const method of ["GET", "HEAD"])
      for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
        const again = await fetch(`${url}${rest}`, { method, headers: { "if-none-match": known } });
        expect([again.status, await again.text()]).toEqual([304, ""]);
        expect(again.headers.get("etag")).toBe(etag);
        expect(again.headers.get("cache-control")).toBe(forAnybody);
        expect(again.headers.has("content-type")).toBe(false);
      }
    kid = "2";
    const changed = await fetch(`${url}${rest}`, { headers: { "if-none-match": etag } });
    expect([changed.status, ((await changed.json()) as { keys: { kid: string }[] }).keys[0]!.kid]).toEqual([200, "2"]);
    expect(changed.headers.get("etag")).not.toBe(etag);
  });

  test("varies cacheable answers by Origin, and over Connect by Accept-Encoding", async () => {
    kid = "1";
    const url = await open(keys);
    const plain = await fetch(`${url}${connectGet}`, { headers: { "accept-encoding": "identity" } });
    const zipped = await fetch(`${url}${connectGet}`, { headers: { "accept-encoding": "gzip" } });
    expect([plain.headers.get("content-encoding"), zipped.headers.get("content-encoding")]).toEqual([null, "gzip"]);
    for (const { headers } of [plain, zipped])
      expect(headers.get("vary")?.toLowerCase().split(/,\s*/)).toEqual(["origin", "accept-encoding"]);
    expect((await fetch(`${url}${rest}`)).headers.get("vary")).toBe("Origin");
  });

  test("answers GET of generated clients for reads, and only POST for methods with side effects", async () => {
    kid = "1";
    const url = await open(keys);
    const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1", useHttpGet: true });
    let cacheControl: string | null = null;
    const onHeader = (header: Headers) => {
      cacheControl = header.get("cache-control");
    };
    const { keys: found } = await createClient(TokenKeyService, transport).listTokenKeys({}, { onHeader });
    // No other answer is cacheable.
    expect([found[0]!.kid, cacheControl]).toEqual(["1", forAnybody]);
    const redrive = createClient(DeadLetterService, transport).redriveDeadLetter({ deadLetterId: "1" });
    await expect(redrive).rejects.toMatchObject({ code: Code.Unimplemented });
    const changing = await fetch(`${url}/${DeadLetterService.typeName}/RedriveDeadLetter?encoding=json&message=%7B%7D`);
    expect(changing.status).toBe(405);
  });
});
