import {
  type DescMessage,
  type DescMethod,
  getOption,
  hasOption,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { resumption } from "@shop/gen/shop/common/v1/resumption_pb";
import { answersHttpBody, nestedMessage, type RestRoute } from "@shop/rest";
import { requestIdField } from "@shop/rpc-server";
import type { OpenApiPath } from "./paths.ts";
import { headersOfRead, isTagged } from "./reads.ts";
import { type Reason, refusals } from "./refusals.ts";
import { requiredInput, type Schemas } from "./schemas.ts";

/** An example request and its answer. */
export interface Example {
  /** Its name in the operation. */
  readonly name: string;
  readonly summary: string;
  /** The request message in JSON with proto field names, regardless of where its fields are sent. */
  readonly request: JsonObject;
  /** 200 if absent. */
  readonly status?: number;
  /** The body of the answer; the first line of a stream. */
  readonly answer: JsonValue;
}

/** The context of an operation, besides its route. */
export interface OperationContext {
  readonly schemas: Schemas;
  readonly reasons: ReadonlyMap<string, Reason> | undefined;
  commentOf(method: DescMethod): string;
  examplesOf(method: DescMethod): readonly Example[];
}

/** Describes an OpenAPI operation: one binding of a method to HTTP. */
export function operation(
  route: RestRoute,
  path: OpenApiPath,
  operationId: string,
  context: OperationContext,
): JsonObject {
  const { method } = route;
  const { schemas } = context;
  const comment = context.commentOf(method);
  const examples = context.examplesOf(method);
  const body = requestBody(route, examples, schemas);
  const rule = getOption(method, access);
  // Methods without an access rule belong to servers with their own authorization.
  const isOpen = rule === Access.PUBLIC || rule === Access.UNSPECIFIED;
  return {
    operationId,
    tags: [method.parent.name],
    summary: firstSentence(comment),
    description: [comment, ...(rule === Access.ADMIN ? ["For administrators."] : [])].join("\n\n"),
    ...(method.deprecated && { deprecated: true }),
    security: isOpen ? [] : [{ accessToken: rule === Access.ADMIN ? ["admin"] : [] }],
    parameters: [
      ...pathParameters(path, examples, schemas),
      ...queryParameters(route, examples, schemas),
      ...(route.etag === undefined ? [] : [{ $ref: "#/components/parameters/IfMatch" }]),
      ...(isNamed(route) ? [{ $ref: "#/components/parameters/IdempotencyKey" }] : []),
      ...(isResumed(route) ? [{ $ref: "#/components/parameters/LastEventId" }] : []),
      ...(isStreamed(method) && !isOpen ? [{ $ref: "#/components/parameters/AccessTicket" }] : []),
      ...(isTagged(route) ? [{ $ref: "#/components/parameters/IfNoneMatch" }] : []),
      { $ref: "#/components/parameters/Timeout" },
    ],
    ...(body && { requestBody: body }),
    responses: responses(route, examples, context),
  };
}

function isStreamed({ methodKind }: DescMethod): boolean {
  return methodKind === "server_streaming";
}

/** Whether requests have an idempotency key (AIP-155), which may be sent as a header. */
function isNamed({ method }: RestRoute): boolean {
  return requestIdField(method) !== undefined;
}

function pathParameters({ parameters }: OpenApiPath, examples: readonly Example[], schemas: Schemas) {
  return parameters.map(({ name, variable, template }): JsonObject => {
    if (variable === undefined) return { name, in: "path", required: true, schema: { type: "string" } };
    const { description = "", ...schema } = schemas.field(variable.field, "input");
    const isWhole = template === "";
    const about = isWhole ? description : `${description}\n\nA segment of \`${template}\`.`;
    return {
      name,
      in: "path",
      required: true,
      ...(about !== "" && { description: about }),
      schema: isWhole ? schema : { type: "string", minLength: 1 },
      ...(isWhole && namedExamples(examples, ({ request }) => valueAt(request, variable.fieldPath))),
    };
  });
}

function queryParameters(route: RestRoute, examples: readonly Example[], schemas: Schemas): JsonObject[] {
  if (route.body.kind === "message") return [];
  const bound = new Set(route.variables.map(({ name }) => name));
  if (route.body.kind === "field") bound.add(route.body.field.name);
  const parameters: JsonObject[] = [];

  function add(message: DescMessage, path: readonly string[], above: readonly DescMessage[]): void {
    const isRequired = requiredInput(message);
    for (const field of message.fields) {
      const to = [...path, field.name];
      if (bound.has(to.join("."))) continue;
      const nested = nestedMessage(field);
      if (nested !== undefined) {
        if (![...above, message].includes(nested)) add(nested, to, [...above, message]);
        continue;
      }
      // Types that a URL can't carry.
      if (field.fieldKind === "map" || (field.fieldKind === "list" && field.listKind === "message")) continue;
      const { description, ...schema } = schemas.field(field, "input");
      parameters.push({
        name: to.join("."),
        in: "query",
        ...(path.length === 0 && isRequired(field) && { required: true }),
        ...(description !== undefined && { description }),
        schema,
        ...namedExamples(examples, ({ request }) => valueAt(request, to)),
      });
    }
  }

  add(route.method.input, [], []);
  return parameters;
}

function requestBody(route: RestRoute, examples: readonly Example[], schemas: Schemas): JsonObject | undefined {
  const { body, method, variables } = route;
  if (body.kind === "none") return undefined;
  const desc = body.kind === "message" ? method.input : body.field.message;
  if (desc?.typeName === "google.api.HttpBody") return { content: { "*/*": {} } };
  const isRequired = requiredInput(method.input);
  const fromPath = new Set(variables.filter(({ parents }) => parents.length === 0).map(({ field }) => field));
  const isNeeded =
    body.kind === "field"
      ? isRequired(body.field)
      : method.input.fields.some((field) => !fromPath.has(field) && isRequired(field));
  const { description, ...schema } =
    body.kind === "message" ? schemas.message(method.input, "input", fromPath) : schemas.field(body.field, "input");
  const bodyOf = ({ request }: Example) =>
    body.kind === "field"
      ? request[body.field.name]
      : omit(
          request,
          [...fromPath].map(({ name }) => name),
        );
  const about =
    body.kind === "field" && route.updateMask !== undefined ? "The fields that are present are updated." : "";
  return {
    ...((description ?? about) && { description: [description, about].filter(Boolean).join("\n\n") }),
    required: isNeeded,
    content: {
      "application/json": { schema, ...namedExamples(examples, (example) => withoutPath(bodyOf(example), route)) },
    },
  };
}

/** A field of the body's message that the path binds may be left out of the body. */
function withoutPath(body: JsonValue | undefined, route: RestRoute): JsonValue | undefined {
  const inside = route.variables.filter(({ parents }) => parents.length === 1).map(({ field }) => field.name);
  return inside.length > 0 && isObject(body) ? omit(body, inside) : body;
}

function responses(route: RestRoute, examples: readonly Example[], { reasons, schemas }: OperationContext): JsonObject {
  const { method, responseBody } = route;
  const answered = examples.filter(({ status = 200 }) => status === 200);
  const refused = (status: number) => examples.filter((example) => example.status === status);
  const { description, ...schema } =
    responseBody === undefined
      ? { ...schemas.message(method.output, "output"), description: undefined }
      : schemas.field(responseBody, "output");
  const ok: JsonObject = answersHttpBody(route)
    ? { description: "The content.", content: { "*/*": {} } }
    : method.methodKind === "server_streaming"
      ? streamed(schema, answered, schemas)
      : {
          description: description ?? "Success.",
          content: { "application/json": { schema, ...namedExamples(answered, ({ answer }) => answer) } },
        };
  const others = [...(reasons === undefined ? [] : refusals(route, reasons))].map(
    ([status, response]): [string, JsonObject] => {
      const examples = namedExamples(refused(status), ({ answer }) => answer);
      const { "application/json": json } = (response.content ?? {}) as { "application/json"?: JsonObject };
      return [
        String(status),
        json ? { ...response, content: { "application/json": { ...json, ...examples } } } : response,
      ];
    },
  );
  if (!isTagged(route)) return { "200": ok, ...Object.fromEntries(others) };
  const known = { $ref: "#/components/responses/NotModified" };
  return { "200": { ...ok, headers: headersOfRead }, "304": known, ...Object.fromEntries(others) };
}

function isResumed({ method }: RestRoute): boolean {
  return hasOption(method, resumption);
}

function streamed(schema: JsonObject, examples: readonly Example[], schemas: Schemas): JsonObject {
  const failed = schemas.define("StreamError", {
    type: "object",
    description: "Ends a stream that failed after its first line.",
    properties: { error: { $ref: "#/components/schemas/Status" } },
    required: ["error"],
  });
  return {
    description:
      "A stream of JSON texts, one per line. With `Accept: text/event-stream` they are sent as Server-Sent Events, " +
      "the last of which is named `end`, or `failure`.",
    content: {
      "application/x-ndjson": {
        // The schema of one line: OpenAPI 3.1 can't describe a stream.
        schema: { anyOf: [schema, failed] },
        ...namedExamples(examples, ({ answer }) => answer),
      },
      "text/event-stream": { schema: { type: "string" } },
    },
  };
}

function namedExamples(
  examples: readonly Example[],
  pick: (example: Example) => JsonValue | undefined,
): { examples?: JsonObject } {
  const values = examples.flatMap((example): [string, JsonObject][] => {
    const value = pick(example);
    return value === undefined ? [] : [[example.name, { summary: example.summary, value }]];
  });
  return values.length === 0 ? {} : { examples: Object.fromEntries(values) };
}

function valueAt(json: JsonValue | undefined, path: readonly string[]): JsonValue | undefined {
  return path.reduce<JsonValue | undefined>((value, name) => (isObject(value) ? value[name] : undefined), json);
}

function omit(json: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(json).filter(([name]) => !names.includes(name)));
}

function isObject(json: JsonValue | undefined): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** The text up to the first full stop or colon that is followed by white space or the end. */
function firstSentence(comment: string): string {
  return /^(.*?)[.:](?=\s|$)/s.exec(comment)?.[1] ?? comment;
}
