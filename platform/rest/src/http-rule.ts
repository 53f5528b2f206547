import type { HttpRule } from "./google-types.ts";

/** One HTTP method and path of an RPC, as written in a rule or in one of its additional bindings. */
export type HttpBinding = {
  /** Upper case; "*" means any method that no other binding of the path has. */
  httpMethod: string;
  path: string;
  /** "", "*" or the name of a request field. */
  body: string;
  /** "" or the name of a response field. */
  responseBody: string;
};

/** The bindings of a rule, its own first. Throws an Error for an invalid rule. */
export function httpBindings(rule: HttpRule): HttpBinding[] {
  const bindings = [toBinding(rule)];
  for (const additional of rule.additionalBindings) {
    if (additional.additionalBindings.length > 0)
      throw new Error("additional_bindings must not have additional_bindings themselves");
    bindings.push(toBinding(additional));
  }
  return bindings;
}

function toBinding({ pattern, body, responseBody }: HttpRule): HttpBinding {
  if (pattern.case === undefined) throw new Error("the rule has no HTTP method and path");
  const httpMethod = pattern.case === "custom" ? pattern.value.kind : pattern.case.toUpperCase();
  const path = pattern.case === "custom" ? pattern.value.path : pattern.value;
  if (!/^(\*|[A-Z][A-Z-]*)$/.test(httpMethod))
    throw new Error(`"${httpMethod}" is not an HTTP method in upper case, nor "*"`);
  if (body !== "" && (httpMethod === "GET" || httpMethod === "HEAD"))
    throw new Error(`${httpMethod} ${path} cannot have a body`);
  return { httpMethod, path, body, responseBody };
}
