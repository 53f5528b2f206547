import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { reachableMethods } from "./access.ts";
import { createRestRoutes } from "./rest/route-trie.ts";

/** What a request line leads to: a method, by its RPC path or its REST route; or why it leads nowhere. */
export type Destination =
  | { readonly kind: "method"; readonly method: DescMethod }
  /** The path is there for others, or is an RPC path of nobody: it must look as if it did not exist. */
  | { readonly kind: "nothing"; readonly code: Code }
  /** No REST route fits, or none with this HTTP method. */
  | { readonly kind: "no_route" };

export interface Routing {
  isReachable(method: DescMethod): boolean;
  find(httpMethod: string, url: string): Destination;
}

const rpcPath = /^\/[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\/[A-Za-z_]\w*$/;

/** Finds methods of services from the first line of a request, whichever protocol it speaks. */
export function createRouting(services: readonly DescService[], isPublic: boolean): Routing {
  const reachable = new Set(reachableMethods(services, isPublic));
  const byRpcPath = new Map([...reachable].map((method) => [`/${method.parent.typeName}/${method.name}`, method]));
  const rest = createRestRoutes(services);

  return {
    isReachable: (method) => reachable.has(method),
    find(httpMethod, url) {
      const path = url.split("?", 1)[0]!;
      const called = byRpcPath.get(path);
      if (called !== undefined) return { kind: "method", method: called };
      if (rpcPath.test(path)) return { kind: "nothing", code: Code.Unimplemented };
      const match = rest.match(httpMethod, path);
      if (match.kind !== "match") return { kind: "no_route" };
      const { method } = match.route;
      return reachable.has(method) ? { kind: "method", method } : { kind: "nothing", code: Code.NotFound };
    },
  };
}
