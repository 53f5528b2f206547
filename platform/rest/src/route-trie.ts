import type { DescService } from "@bufbuild/protobuf";
import type { HttpRule } from "./google-types.ts";
import { decodeOrUndefined } from "./path-template.ts";
import { type RestRoute, restRoutes } from "./route.ts";

/** The result for a request line. `variables` are the captures, still percent-encoded, in the order of `route.variables`. */
export type RouteMatch =
  | { kind: "match"; route: RestRoute; variables: readonly string[] }
  | { kind: "method_not_allowed"; allow: string[] }
  | { kind: "not_found" };

/** All routes of some services. */
export type RestRoutes = {
  readonly routes: readonly RestRoute[];
  /**
   * Finds the route for an HTTP method and a raw path (percent-encoded, without query), in time linear in the path. Never
   * throws: captures are decoded only by decodeRequest.
   *
   * Literals take precedence over `*` and `*` over `**`, from left to right; among the templates that match the path, the first
   * that has the HTTP method wins. HEAD falls back to GET. A verb is text of its segment only if no template with that verb
   * matches the path, for any HTTP method.
   */
  match(httpMethod: string, rawPath: string): RouteMatch;
};

type Routes = Map<string, RestRoute>;
type Node = {
  literals: Map<string, Node>;
  one: Node | undefined;
  /** Routes that end here, by verb and HTTP method. */
  ends: Map<string, Routes>;
  /** Routes whose template continues with `**`, by verb and HTTP method. */
  rests: Map<string, Routes>;
};

const notFound: RouteMatch = { kind: "not_found" };

/**
 * Builds the routes of `google.api.http`; see restRoutes for `rules`.
 *
 * @throws Error for an invalid rule and for two bindings of one HTTP method and path.
 */
export function createRestRoutes(services: Iterable<DescService>, rules?: readonly HttpRule[]): RestRoutes {
  const routes = restRoutes(services, rules);
  const root = createNode();
  const verbs = new Set<string>();
  for (const route of routes) {
    insert(root, route);
    if (route.template.verb !== "") verbs.add(route.template.verb);
  }
  return { routes, match };

  function match(httpMethod: string, rawPath: string): RouteMatch {
    const segments = splitPath(rawPath);
    if (segments === undefined) return notFound;
    const search = { httpMethod, segments, verb: "", allow: undefined };
    const route = findWithVerb(search) ?? (search.allow === undefined ? find(root, 0, search) : undefined);
    if (route !== undefined) return { kind: "match", route, variables: captures(route, search.segments) };
    return search.allow === undefined ? notFound : { kind: "method_not_allowed", allow: [...search.allow].sort() };
  }

  function findWithVerb(search: Search): RestRoute | undefined {
    const { segments } = search;
    const last = segments.at(-1) ?? "";
    const colon = last.lastIndexOf(":");
    const verb = colon > 0 ? decodeOrUndefined(last.slice(colon + 1)) : undefined;
    if (verb === undefined || !verbs.has(verb)) return undefined;
    search.verb = verb;
    search.segments = segments.with(-1, last.slice(0, colon));
    const route = find(root, 0, search);
    if (route === undefined) {
      search.verb = "";
      search.segments = segments;
    }
    return route;
  }
}

type Search = {
  httpMethod: string;
  segments: readonly string[];
  verb: string;
  allow: Set<string> | undefined;
};

/** Visits each node of the trie at most once: a node represents one reading of the first `index` segments. */
function find(node: Node, index: number, search: Search): RestRoute | undefined {
  const segment = search.segments[index];
  if (segment === undefined)
    return select(node.ends.get(search.verb), search) ?? select(node.rests.get(search.verb), search);
  const literal = node.literals.size > 0 ? node.literals.get(decodeOrUndefined(segment) ?? segment) : undefined;
  return (
    (literal && find(literal, index + 1, search)) ??
    (node.one && find(node.one, index + 1, search)) ??
    select(node.rests.get(search.verb), search)
  );
}

function select(routes: Routes | undefined, search: Search): RestRoute | undefined {
  if (routes === undefined) return undefined;
  const { httpMethod } = search;
  const route = routes.get(httpMethod) ?? (httpMethod === "HEAD" ? routes.get("GET") : undefined) ?? routes.get("*");
  if (route === undefined) {
    search.allow ??= new Set();
    for (const method of routes.keys()) search.allow.add(method);
    if (routes.has("GET")) search.allow.add("HEAD");
  }
  return route;
}

/** The segments of an absolute path; undefined if one is empty. "/" has none. */
function splitPath(path: string): readonly string[] | undefined {
  if (path === "/") return [];
  if (!path.startsWith("/") || path.endsWith("/") || path.includes("//")) return undefined;
  return path.slice(1).split("/");
}

function captures(route: RestRoute, segments: readonly string[]): string[] {
  return route.variables.map(({ start, end }) =>
    end - start === 1 ? (segments[start] ?? "") : segments.slice(start, end).join("/"),
  );
}

function createNode(): Node {
  return { literals: new Map(), one: undefined, ends: new Map(), rests: new Map() };
}

function insert(root: Node, route: RestRoute): void {
  let node = root;
  let leaves = root.ends;
  for (const segment of route.template.segments) {
    if (segment.kind === "**") {
      leaves = node.rests;
      break;
    }
    if (segment.kind === "*") {
      node.one ??= createNode();
      node = node.one;
    } else {
      const next = node.literals.get(segment.text) ?? createNode();
      node.literals.set(segment.text, next);
      node = next;
    }
    leaves = node.ends;
  }
  const { verb } = route.template;
  const routes = leaves.get(verb) ?? new Map<string, RestRoute>();
  leaves.set(verb, routes);
  const other = routes.get(route.httpMethod);
  if (other !== undefined)
    throw new Error(
      `google.api.http: ${route.httpMethod} ${route.path} of ${procedure(route)} is the same route as ` +
        `${other.httpMethod} ${other.path} of ${procedure(other)}`,
    );
  routes.set(route.httpMethod, route);
}

function procedure({ method }: RestRoute): string {
  return `${method.parent.typeName}.${method.name}`;
}
