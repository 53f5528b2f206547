import type { DescService } from "@bufbuild/protobuf";
import { createRestRoutes } from "@shop/rest";

/** Whether a path, without a query, is a stream that a browser's EventSource can open by GET. */
export type IsStream = (path: string) => boolean;

/** Recognizes streams by the REST routes of these services. */
export function streamPaths(services: readonly DescService[]): IsStream {
  const routes = createRestRoutes(services);
  return (path) => {
    const found = routes.match("GET", path);
    return found.kind === "match" && found.route.method.methodKind === "server_streaming";
  };
}
