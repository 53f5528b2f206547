import type { JsonObject } from "@bufbuild/protobuf";
import type { RestRoute } from "@shop/rest";

/** What the headers of answers to GET mean. */
export const readHeaders: JsonObject = {
  ETag: {
    description:
      "Names this answer (RFC 9110, 8.8.3): `If-None-Match` with it is answered 304 as long as it is the same.",
    schema: { type: "string" },
    required: true,
  },
  CacheControl: {
    description: "Whether the answer may be kept, and for how long (RFC 9111).",
    schema: { type: "string" },
  },
};

/** The headers that come with such an answer. */
export const headersOfRead: JsonObject = {
  ETag: { $ref: "#/components/headers/ETag" },
  "Cache-Control": { $ref: "#/components/headers/CacheControl" },
};

/** The answer to who knows it already. */
export const notModified: JsonObject = { description: "It is the same as the one known.", headers: headersOfRead };

/** Whether answers of a route have an entity tag. */
export function isTagged({ httpMethod, method }: RestRoute): boolean {
  return httpMethod === "GET" && method.methodKind === "unary";
}
