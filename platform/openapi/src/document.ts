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
  /** With the methods that are described. */
  readonly services: readonly DescService[];
  /** What the proto files say of an element, as Markdown; "" when they say nothing, and by default. */
  commentOf?(desc: Exclude<AnyDesc, DescFile>): string;
  /** Every reason that a method may name. Without it refusals are described by their statuses alone. */
  readonly reasons?: ReadonlyMap<string, Reason>;
  /** By the full name of a method; none by default. */
  readonly examples?: ReadonlyMap<string, readonly Example[]>;
}

/** What a path of OpenAPI can be asked; a binding to anything else is left out. */
const httpMethods = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/**
 * Describes the REST that services have by `google.api.http` as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1): paths,
 * parameters, bodies and answers with proto field names, the rules of `buf.validate`, who may call by the access rule, and why
 * calls are refused by the option `reasons`.
 *
 * @throws Error naming the method, for a rule that does not fit, a reason that nobody describes or an example of nothing
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
    const nth = (operationIds.get(name) ?? 0) + 1;
    operationIds.set(name, nth);
    const operationId = `${method.parent.name}_${method.name}${nth === 1 ? "" : `_${nth}`}`;
    item[route.httpMethod.toLowerCase()] = operation(route, { path, parameters }, operationId, {
      schemas,
      reasons,
      commentOf,
      // One binding shows them all.
      examplesOf: () => (nth === 1 ? (examples.get(name) ?? []) : []),
    });
  }
  const strange = [...examples.keys()].find((name) => !operationIds.has(name));
  if (strange !== undefined) throw new Error(`there are examples of ${strange}, which is not described`);

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
          description: "The access token that signing in answers. A role beside it is one that the caller needs.",
        },
      },
      parameters: {
        IdempotencyKey: {
          name: "Idempotency-Key",
          in: "header",
          description:
            "Names the request, as the field `request_id` does: made again under the same name it is done once. Bare, or in " +
            "quotes, which are no part of it. Operations that do not list this header ignore it.",
          schema: { type: "string", pattern: idempotencyKeyPattern },
        },
        IfMatch: {
          name: "If-Match",
          in: "header",
          description:
            "The `etag` of what was read, in quotes, or `*` for whatever is there: if it has changed since, nothing happens.",
          schema: { type: "string" },
        },
        IfNoneMatch: {
          name: "If-None-Match",
          in: "header",
          description: "The `ETag` of an answer that is known: if it is the same still, it is not sent again.",
          schema: { type: "string" },
        },
        LastEventId: {
          name: "Last-Event-ID",
          in: "header",
          description:
            "The `id` of the last Server-Sent Event that came: the stream goes on after it, and where nothing can follow the answer " +
            "is 204. An EventSource sends it by itself.",
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
