import type { DescService } from "@bufbuild/protobuf";
import { createRestRoutes } from "@shop/rest";

/** Whether a path, without a query, is that of a stream that is read by GET: what a browser's EventSource can open. */
export type IsStream = (path: string) => boolean;

/** Knows the streams of these services by their routes. */
export function streamPaths(services: readonly DescService[]): IsStream {
  const routes = createRestRoutes(services);
  return (path) => {
    const found = routes.match("GET", path);
    return found.kind === "match" && found.route.method.methodKind === "server_streaming";
  };
}
