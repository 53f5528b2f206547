import { invalidRequest } from "./invalid-request.ts";
import { cutText } from "./refusal-limits.ts";

/** The most parameters of a request: more than any list in a query has items. */
const maxParameters = 1_000;

/**
 * Parses a raw query string (without "?") into names and values in order, decoded like HTML forms ("+" is a space). Unlike
 * URLSearchParams it refuses invalid encodings, as invalid_argument.
 */
export function parseQuery(query: string): [name: string, value: string][] {
  const parameters: [string, string][] = [];
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    if (parameters.length === maxParameters)
      throw invalidRequest({ field: "", description: `there are more than ${maxParameters} query parameters` });
    const equals = pair.indexOf("=");
    const name = decode(equals < 0 ? pair : pair.slice(0, equals), pair);
    parameters.push([name, equals < 0 ? "" : decode(pair.slice(equals + 1), name)]);
  }
  return parameters;
}

function decode(text: string, field: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    throw invalidRequest({ field: cutText(field), description: "is not valid percent-encoded UTF-8 in the query" });
  }
}
