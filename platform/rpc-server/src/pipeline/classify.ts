import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { RestTarget, Transcoder } from "@shop/rest";

/** A call of a method, by its RPC path or by a REST route. */
export interface Call {
  readonly kind: "call";
  readonly method: DescMethod;
  /** The matched REST route; undefined for an RPC path. */
  readonly rest: RestTarget | undefined;
  /** Whether this process hosts the method; otherwise its calls are forwarded. */
  readonly isHosted: boolean;
}

/** The classification of a request line. */
export type Classified =
  | Call
  /** A route of the Fastify application: health, documentation, or one that the application added; or a service of a plugin. */
  | { readonly kind: "fastify" }
  /** An RPC path that names no method. */
  | { readonly kind: "no_method" }
  /** An RPC path with an HTTP method that it does not allow. */
  | { readonly kind: "method_not_allowed"; readonly allowed: readonly string[] }
  /** No REST route matches, or none with this HTTP method. */
  | { readonly kind: "no_route"; readonly rest: RestTarget };

export type Classify = (httpMethod: string, url: string) => Classified;

const rpcPath = /^\/[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\/[A-Za-z_]\w*$/;

const fastifyRoute: Classified = { kind: "fastify" };

/** Finds the method that a request calls, in every protocol, from the request line alone. Pure. */
export function createClassify(port: {
  readonly services: readonly DescService[];
  /** Services that Fastify plugins serve. */
  readonly pluginServices: readonly DescService[];
  readonly transcoder: Pick<Transcoder, "target">;
  /** Paths of Fastify routes for GET. */
  readonly pages: ReadonlySet<string>;
  isHosted(method: DescMethod): boolean;
}): Classify {
  const { transcoder, pages, isHosted } = port;
  const calls = new Map(
    port.services.flatMap(({ methods }) =>
      methods.map((method) => [
        pathOf(method),
        { kind: "call", method, rest: undefined, isHosted: isHosted(method) } satisfies Call,
      ]),
    ),
  );
  const pluginMethods = new Map(port.pluginServices.flatMap(({ methods }) => methods.map((one) => [pathOf(one), one])));

  return (httpMethod, url) => {
    const query = url.indexOf("?");
    const path = query < 0 ? url : url.slice(0, query);
    const call = calls.get(path);
    const called = call?.method ?? pluginMethods.get(path);
    if (called !== undefined) {
      const allowed = allowedMethods(called);
      return allowed.includes(httpMethod) ? (call ?? fastifyRoute) : { kind: "method_not_allowed", allowed };
    }
    if (rpcPath.test(path)) return { kind: "no_method" };
    const rest = transcoder.target(httpMethod, url);
    if (rest.match.kind === "match") {
      const { method } = rest.match.route;
      return { kind: "call", method, rest, isHosted: isHosted(method) };
    }
    if (rest.match.kind !== "not_found" || !pages.has(path)) return { kind: "no_route", rest };
    if (httpMethod === "GET" || httpMethod === "HEAD") return fastifyRoute;
    return { kind: "no_route", rest: { ...rest, match: { kind: "method_not_allowed", allow: ["GET", "HEAD"] } } };
  };
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

const postOnly = ["POST"];
const getOrPost = ["GET", "POST"];

/** Connect allows GET for unary methods without side effects. */
function allowedMethods({ methodKind, idempotency }: DescMethod): readonly string[] {
  const hasGet = methodKind === "unary" && idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return hasGet ? getOrPost : postOnly;
}
