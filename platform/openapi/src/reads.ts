import type { JsonObject } from "@bufbuild/protobuf";
import type { RestRoute } from "@shop/rest";

/** Descriptions of the headers of answers to GET. */
export const readHeaders: JsonObject = {
  ETag: {
    description:
      "Identifies this answer (RFC 9110, 8.8.3): a request with it in `If-None-Match` is answered 304 while the answer is unchanged.",
    schema: { type: "string" },
    required: true,
  },
  CacheControl: {
    description: "Whether the answer may be cached, and for how long (RFC 9111).",
    schema: { type: "string" },
  },
};

/** The headers of such an answer. */
export const headersOfRead: JsonObject = {
  ETag: { $ref: "#/components/headers/ETag" },
  "Cache-Control": { $ref: "#/components/headers/CacheControl" },
};

/** The answer if the client has the current version. */
export const notModified: JsonObject = { description: "The answer is unchanged.", headers: headersOfRead };

/** Whether answers of a route have an entity tag. */
export function isTagged({ httpMethod, method }: RestRoute): boolean {
  return httpMethod === "GET" && method.methodKind === "unary";
}
