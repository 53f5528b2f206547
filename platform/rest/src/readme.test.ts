import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { expect, onTestFinished, test } from "vitest";
import { testService } from "./testdata/descriptors.ts";

interface Example {
  restServer(services: readonly DescService[], routes: (router: ConnectRouter) => void): Server;
}

test("the example of the README serves the routes of a service", async () => {
  const readme = readFileSync(join(import.meta.dirname, "../README.md"), "utf8");
  const file = join(import.meta.dirname, `readme-example-${process.pid}.ts`);
  writeFileSync(file, /```ts\n(.*?)```/s.exec(readme)![1]!.replace('"@shop/rest"', '"./index.ts"'));
  onTestFinished(() => rmSync(file));
  const { restServer } = (await import(file)) as Example;
  const library = testService("library.v1.LibraryService");
  const getShelf = (request: { readonly name: string }) => ({ name: request.name });
  const server = restServer([library], (router) => router.service(library, { getShelf } as never));
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");

  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/v1/shelves/1`);
  expect(await answer.json()).toMatchObject({ name: "shelves/1" });
});
