import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { readmeExample } from "@shop/http-port/testing/readme-example";
import { expect, onTestFinished, test } from "vitest";
import { testService } from "./testdata/descriptors.ts";

interface Example {
  restServer(services: readonly DescService[], routes: (router: ConnectRouter) => void): Server;
}

test("the README's example serves the routes of a service", async () => {
  const { restServer } = await readmeExample<Example>("@shop/rest", import.meta.dirname);
  const library = testService("library.v1.LibraryService");
  const getShelf = (request: { readonly name: string }) => ({ name: request.name });
  const server = restServer([library], (router) => router.service(library, { getShelf } as never));
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");

  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/v1/shelves/1`);
  expect(await answer.json()).toMatchObject({ name: "shelves/1" });
});
