import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";

/** In seconds: so long whoever reads over HTTP may keep an answer to anybody, and give it once more while asking again. */
export const publicCaching = { "cache-control": "public, max-age=1, stale-while-revalidate=5" };

/** Whether answers to a method are the same for everybody and change nothing. */
export type IsPublicRead = (method: DescMethod) => boolean;

/** Lets caches keep what GET reads for anybody, unless the method itself says how long. Errors are not kept. */
export function cacheableInterceptor(isPublicRead: IsPublicRead): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    if (request.requestMethod === "GET" && isPublicRead(request.method) && !response.header.has("cache-control"))
      response.header.set("cache-control", publicCaching["cache-control"]);
    return response;
  };
}
