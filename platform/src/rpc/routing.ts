import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { createRestRoutes } from "./rest/route-trie.ts";

/** What a request line leads to: a method, by its RPC path or its REST route; or why it leads nowhere. */
export type Destination =
  | { readonly kind: "method"; readonly method: DescMethod; readonly isRest: boolean }
  /** An RPC path that nobody answers for here. */
  | { readonly kind: "no_method" }
  /** No REST route fits, or none with this HTTP method. */
  | { readonly kind: "no_route" };

export interface Routing {
  isReachable(method: DescMethod): boolean;
  find(httpMethod: string, url: string): Destination;
}

const rpcPath = /^\/[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\/[A-Za-z_]\w*$/;

/** Finds methods of services, as their port shows them, from the first line of a request in whichever protocol. */
export function createRouting(services: readonly DescService[]): Routing {
  const reachable = new Set(services.flatMap((service) => service.methods));
  const byRpcPath = new Map([...reachable].map((method) => [`/${method.parent.typeName}/${method.name}`, method]));
  const rest = createRestRoutes(services);

  return {
    isReachable: (method) => reachable.has(method),
    find(httpMethod, url) {
      const path = url.split("?", 1)[0]!;
      const called = byRpcPath.get(path);
      if (called !== undefined) return { kind: "method", method: called, isRest: false };
      if (rpcPath.test(path)) return { kind: "no_method" };
      const match = rest.match(httpMethod, path);
      if (match.kind !== "match") return { kind: "no_route" };
      return { kind: "method", method: match.route.method, isRest: true };
    },
  };
}
