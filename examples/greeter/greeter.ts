// A Fastify application that serves its own service by Connect, gRPC, gRPC-Web and REST on one port, with reflection, health,
// OpenAPI at /openapi.json and a page at /docs. From the root of the repository:
//
//   npx buf build --config '{"version":"v2","modules":[{"path":"examples/greeter"},{"path":"vendor/proto"}]}' -o greeter.binpb
//   node examples/greeter/greeter.ts greeter.binpb
//   curl -H 'authorization: Bearer let me in' localhost:8080/v1/greetings/Ada

import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { openApiDocument } from "@shop/openapi";
import { createRpc } from "@shop/rpc-server";
import Fastify from "fastify";

/** Starts on the port, 0 for any free one; resolves to the application. */
export async function startGreeter(descriptorSet: string, port: number) {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptorSet)));
  const service = registry.getService("example.greeter.v1.GreeterService")!;
  const openApi = openApiDocument({ info: { title: "Greeter", version: "1" }, services: [service] });

  const rpc = createRpc({
    services: [service],
    hosted: () => (router: ConnectRouter) => {
      router.service(service, { greet: ({ name }: { name: string }) => ({ greeting: `Hello, ${name}!` }) } as object);
    },
    async authorize(_method, headers) {
      if (headers.get("authorization") === "Bearer let me in") return { name: "a guest" };
      throw new ConnectError("send the token", Code.Unauthenticated);
    },
    openApi: Buffer.from(JSON.stringify(openApi)),
    corsOrigins: ["https://greeter.example"],
  });

  const app = Fastify({ serverFactory: rpc.serverFactory });
  await app.register(rpc.plugin);
  app.get("/about", async () => ({ about: "an ordinary route" }));
  app.addHook("onClose", async () => rpc.close());
  await app.listen({ port, host: "127.0.0.1" });
  return app;
}

if (import.meta.main) await startGreeter(process.argv[2]!, 8080);
