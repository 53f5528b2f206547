import { createConnectRouter } from "@connectrpc/connect";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { expect, test } from "vitest";
import type { StartedModule } from "./service-module.ts";

test("a module that does not implement a method of a service does not compile", () => {
  const incomplete: StartedModule["routes"] = (router) => {
    // @ts-expect-error Property 'listTokenKeys' is missing.
    router.service(TokenKeyService, {});
  };
  const complete: StartedModule["routes"] = (router) => {
    router.service(TokenKeyService, { listTokenKeys: () => ({ keys: [] }) });
  };
  for (const routes of [incomplete, complete]) {
    const router = createConnectRouter();
    routes(router);
    expect(router.handlers).toHaveLength(1);
  }
});
