import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";

/** For answers to PUBLIC reads: any cache may reuse them for 1 s, and serve them stale for 5 s while it revalidates. */
export const publicCaching = { "cache-control": "public, max-age=1, stale-while-revalidate=5" };

/** Whether a method's answers are the same for every caller, and calling it changes nothing. */
export type IsPublicRead = (method: DescMethod) => boolean;

/** Makes answers to GET of public reads cacheable, unless the method set `cache-control` itself. Errors are not cached. */
export function cacheableInterceptor(isPublicRead: IsPublicRead): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    if (request.requestMethod === "GET" && isPublicRead(request.method) && !response.header.has("cache-control"))
      response.header.set("cache-control", publicCaching["cache-control"]);
    return response;
  };
}
