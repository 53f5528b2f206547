import type { JsonObject } from "@bufbuild/protobuf";
import { byMethod } from "./contracts.ts";

/** The REST request of each method. Takes the request message as JSON with proto field names. */
export const restCalls = byMethod(({ rest }) => rest);

/** The query string of a REST request; lists repeat their name. */
export function queryString(query: JsonObject = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, String(one)]),
  );
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`;
}
