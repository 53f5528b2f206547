import type { AnyDesc, DescFile, DescService, JsonObject } from "@bufbuild/protobuf";
import { type RestRoute, restRoutes } from "@shop/rest";
import { idempotencyKeyPattern } from "@shop/rpc-server";
import { type Example, operation } from "./operation.ts";
import { openApiPath, shapeOf } from "./paths.ts";
import { notModified, readHeaders } from "./reads.ts";
import { type Reason, refusalHeaders, sharedRefusals, statusSchema } from "./refusals.ts";
import { Schemas } from "./schemas.ts";

export type { Example } from "./operation.ts";
export type { Reason } from "./refusals.ts";

export interface OpenApiOptions {
  readonly info: { readonly title: string; readonly version: string; readonly [more: string]: JsonObject[string] };
  /** The services, with the methods to describe. */
  readonly services: readonly DescService[];
  /** Returns the comment of an element in the proto files, as Markdown; "" if it has none, which is the default. */
  commentOf?(desc: Exclude<AnyDesc, DescFile>): string;
  /** All reasons that methods may declare. Without it errors are described by their statuses only. */
  readonly reasons?: ReadonlyMap<string, Reason>;
  /** Examples by full method name; none by default. */
  readonly examples?: ReadonlyMap<string, readonly Example[]>;
}

/** The HTTP methods that OpenAPI supports; bindings with others are left out. */
const httpMethods = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/**
 * Describes the REST API that `google.api.http` gives the services, as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1):
 * paths, parameters, bodies and answers with proto field names, the rules of `buf.validate`, security by access rules, and
 * errors by the option `reasons`.
 *
 * @throws Error naming the method, for an invalid rule, an unknown reason, or examples of a method that is not described
 */
export function openApiDocument(options: OpenApiOptions): JsonObject {
  const { services, commentOf = () => "", reasons } = options;
  const schemas = new Schemas(commentOf);
  schemas.define("Status", statusSchema);
  const examples = new Map(options.examples ?? []);
  const paths = new Map<string, JsonObject>();
  const shapes = new Map<string, string>();
  const operationIds = new Map<string, number>();
  const routes = restRoutes(services).filter(isDescribable);

  for (const route of routes) {
    const { method } = route;
    const name = `${method.parent.typeName}.${method.name}`;
    const described = openApiPath(route);
    const path = shapes.get(shapeOf(described.path)) ?? described.path;
    shapes.set(shapeOf(path), path);
    const names = [...path.matchAll(/\{([^}]*)\}/g)].map(([, parameter]) => parameter!);
    const parameters = described.parameters.map((parameter, index) => ({ ...parameter, name: names[index]! }));
    const item = paths.get(path) ?? {};
    paths.set(path, item);
    if (route.httpMethod.toLowerCase() in item)
      throw new Error(`google.api.http: ${route.httpMethod} ${path} of ${name} is a route of another method already`);
    const nth = (operationIds.get(name) ?? 0) + 1;
    operationIds.set(name, nth);
    const operationId = `${method.parent.name}_${method.name}${nth === 1 ? "" : `_${nth}`}`;
    item[route.httpMethod.toLowerCase()] = operation(route, { path, parameters }, operationId, {
      schemas,
      reasons,
      commentOf,
      // Only the first binding has the examples.
      examplesOf: () => (nth === 1 ? (examples.get(name) ?? []) : []),
    });
  }
  const unknown = [...examples.keys()].find((name) => !operationIds.has(name));
  if (unknown !== undefined) throw new Error(`${unknown} has examples, but is not described`);

  return {
    openapi: "3.1.1",
    info: options.info,
    servers: [{ url: "/" }],
    tags: services
      .filter((service) => routes.some(({ method }) => method.parent.typeName === service.typeName))
      .map((service) => ({ name: service.name, description: commentOf(service) })),
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: {
        accessToken: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "The access token that signing in returns. A scope is a role that the caller needs.",
        },
      },
      parameters: {
        IdempotencyKey: {
          name: "Idempotency-Key",
          in: "header",
          description:
            "Identifies the request, like the field `request_id`: a repetition with the same key has no further effect. Bare or " +
            "quoted; the quotes are not part of the key. Operations that do not list this header ignore it.",
          schema: { type: "string", pattern: idempotencyKeyPattern },
        },
        IfMatch: {
          name: "If-Match",
          in: "header",
          description:
            "The `etag` of the resource as it was read, in quotes, or `*` for any: if it has changed since, the request fails with 412.",
          schema: { type: "string" },
        },
        IfNoneMatch: {
          name: "If-None-Match",
          in: "header",
          description: "The `ETag` of a known answer: if it is unchanged, the answer is 304 without a body.",
          schema: { type: "string" },
        },
        LastEventId: {
          name: "Last-Event-ID",
          in: "header",
          description:
            "The `id` of the last received Server-Sent Event: the stream continues after it, and if nothing can follow the answer " +
            "is 204. An EventSource sends it automatically.",
          schema: { type: "string" },
        },
        AccessTicket: {
          name: "access_ticket",
          in: "query",
          description: "A ticket for this stream, in place of the access token: an EventSource can't send headers.",
          schema: { type: "string" },
        },
        Timeout: {
          name: "Connect-Timeout-Ms",
          in: "header",
          description: "The deadline, in milliseconds from now.",
          schema: { type: "integer", minimum: 1, maximum: 9_999_999_999 },
        },
      },
      headers: { ...refusalHeaders, ...readHeaders },
      responses: { ...sharedRefusals(), NotModified: notModified },
      schemas: schemas.components(),
    },
  };
}

function isDescribable({ httpMethod, method }: RestRoute): boolean {
  const streamsRequests = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  return httpMethods.includes(httpMethod) && !streamsRequests;
}
