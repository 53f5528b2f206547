import {
  create,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { fieldNamed, hasOwnJsonForm, nestedMessage } from "./fields.ts";
import { type HttpRule, HttpRuleSchema, http } from "./google-types.ts";
import { type HttpBinding, httpBindings } from "./http-rule.ts";
import { type PathTemplate, parsePathTemplate, type TemplateVariable } from "./path-template.ts";

/** The part of a request that is the HTTP body. */
export type RequestBody = { kind: "none" } | { kind: "message" } | { kind: "field"; field: DescField };

/** A path variable with the request field it binds, and the message fields that lead to it. */
export type PathVariable = TemplateVariable & {
  name: string;
  parents: readonly DescField[];
  field: DescField;
};

/** One binding of an RPC to HTTP, checked against its descriptors and ready to serve. */
export type RestRoute = {
  readonly method: DescMethod;
  readonly httpMethod: string;
  /** The template as written. */
  readonly path: string;
  readonly template: PathTemplate;
  readonly variables: readonly PathVariable[];
  readonly body: RequestBody;
  /** The response field that is the HTTP body; undefined for the whole response. */
  readonly responseBody: DescField | undefined;
  /** On PATCH, the only FieldMask of the request: filled from the body if the caller sends none. */
  readonly updateMask: DescField | undefined;
  /** The path to the text field `etag`, of the request or of the body's field, that If-Match sets; not on GET. */
  readonly etag: readonly DescField[] | undefined;
};

/**
 * The routes that `google.api.http` gives the methods of the services.
 *
 * @param rules rules of a service configuration: they apply to the methods that their `selector` names (a full method name, or
 * `prefix.*`) and replace those in the proto files; the last one wins
 * @throws Error naming the method, for a rule that is invalid or does not fit the messages
 */
export function restRoutes(services: Iterable<DescService>, rules: readonly HttpRule[] = []): RestRoute[] {
  const routes: RestRoute[] = [];
  for (const service of services) {
    for (const method of service.methods) {
      const name = `${service.typeName}.${method.name}`;
      const rule =
        rules.findLast((candidate) => selects(candidate.selector, name)) ??
        (hasOption(method, http) ? getOption(method, http) : undefined);
      if (rule === undefined) continue;
      try {
        for (const binding of httpBindings(rule)) routes.push(toRoute(method, binding));
      } catch (error) {
        throw new Error(`google.api.http of ${name}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
  return routes;
}

/** Creates a rule: `httpRule({ selector: "a.v1.B.Get", pattern: { case: "get", value: "/v1/{name}" } })`. */
export function httpRule(init: Parameters<typeof create<typeof HttpRuleSchema>>[1]): HttpRule {
  return create(HttpRuleSchema, init);
}

function selects(selector: string, name: string): boolean {
  return selector.endsWith("*") ? name.startsWith(selector.slice(0, -1)) : selector === name;
}

function toRoute(method: DescMethod, binding: HttpBinding): RestRoute {
  const template = parsePathTemplate(binding.path);
  const variables = template.variables.map((variable) => pathVariable(method, variable));
  const body = requestBody(method, binding.body);
  if (body.kind === "field" && variables.some((variable) => variable.field === body.field))
    throw new Error(`the field ${binding.body} is bound both by the path and by the body`);
  return {
    method,
    httpMethod: binding.httpMethod,
    path: binding.path,
    template,
    variables,
    body,
    responseBody: responseBody(method, binding.responseBody),
    updateMask: binding.httpMethod === "PATCH" ? updateMask(method, body) : undefined,
    etag: binding.httpMethod === "GET" ? undefined : etagPath(method, body),
  };
}

function pathVariable(method: DescMethod, variable: TemplateVariable): PathVariable {
  const name = variable.fieldPath.join(".");
  if (hasOwnJsonForm(method.input))
    throw new Error(`the path cannot bind fields of ${method.input.typeName}, which JSON does not write as an object`);
  const parents: DescField[] = [];
  let field: DescField | undefined;
  for (const step of variable.fieldPath) {
    if (field !== undefined) parents.push(field);
    const message: DescMessage | undefined = field === undefined ? method.input : nestedMessage(field);
    // Templates use proto names; accepting a JSON name would hide a typing error.
    field = message?.fields.find((candidate) => candidate.name === step);
    if (field === undefined) throw new Error(`the path binds ${name}, which ${method.input.typeName} does not have`);
  }
  if (field?.fieldKind !== "scalar" && field?.fieldKind !== "enum")
    throw new Error(`the path binds ${name}, which is not a single scalar or enum`);
  return { ...variable, name, parents, field };
}

function requestBody(method: DescMethod, body: string): RequestBody {
  if (body === "") return { kind: "none" };
  if (body === "*") return { kind: "message" };
  const field = fieldNamed(method.input, body);
  if (field?.name !== body || hasOwnJsonForm(method.input))
    throw new Error(`the body is ${body}, which is not a field of ${method.input.typeName}`);
  return { kind: "field", field };
}

function responseBody(method: DescMethod, name: string): DescField | undefined {
  if (name === "") return undefined;
  const field = fieldNamed(method.output, name);
  if (field?.name !== name)
    throw new Error(`the response_body is ${name}, which is not a field of ${method.output.typeName}`);
  return field;
}

function etagPath(method: DescMethod, body: RequestBody): DescField[] | undefined {
  const etagOf = ({ fields }: DescMessage) =>
    fields.find((field) => field.name === "etag" && field.fieldKind === "scalar" && field.scalar === ScalarType.STRING);
  if (hasOwnJsonForm(method.input)) return undefined;
  const own = etagOf(method.input);
  if (own !== undefined) return [own];
  const message = body.kind === "field" ? nestedMessage(body.field) : undefined;
  const etag = message && etagOf(message);
  return body.kind === "field" && etag ? [body.field, etag] : undefined;
}

function updateMask(method: DescMethod, body: RequestBody): DescField | undefined {
  if (body.kind !== "field" || nestedMessage(body.field) === undefined) return undefined;
  const masks = method.input.fields.filter(
    (field) => field.fieldKind === "message" && field.message.typeName === "google.protobuf.FieldMask",
  );
  return masks.length === 1 ? masks[0] : undefined;
}
