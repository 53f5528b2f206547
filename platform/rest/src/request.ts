import {
  create,
  type DescField,
  type DescMessage,
  equals,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { explainJson } from "./explain-json.ts";
import { fieldMaskPaths, presentPaths } from "./field-mask.ts";
import { fieldNamed, nestedMessage } from "./fields.ts";
import { withHttpStatus } from "./http-status.ts";
import { demandedTag } from "./if-match.ts";
import { invalidRequest } from "./invalid-request.ts";
import { maxJsonDepth, parseJsonBody } from "./json-text.ts";
import { normalizeFieldJson, normalizeJson } from "./normalize-json.ts";
import { parseQuery } from "./query-string.ts";
import { cutText, type MessageCheck } from "./refusal-limits.ts";
import type { PathVariable, RestRoute } from "./route.ts";
import { isStrict } from "./strict-json.ts";
import { textToJson } from "./text-to-json.ts";

/** The bytes of an HTTP body after decoding its Content-Encoding, with their Content-Type. */
export type HttpBodyBytes = { bytes: Uint8Array; contentType: string | null };

/** A decoded request. */
export type DecodedRequest = {
  message: Message;
  /** The fields in the JSON body as FieldMask paths, relative to the body's field if the rule names one. */
  bodyPaths: () => string[];
};

/**
 * Builds the request message of a matched route: query parameters, overridden by the body, overridden by the path. A body or
 * query that contradicts the path with a non-default value is refused, since the intent is unclear.
 *
 * The three are merged into one tree of protobuf JSON, which protobuf-es decodes: its rules for JSON apply. Unknown fields and
 * parameters are refused.
 *
 * @param variables as in RouteMatch, still encoded
 * @param query raw, without "?"
 * @param body null or empty bytes for a request without one
 * @param ifMatch the header If-Match, which sets the field `etag` if the route has one
 * @param check checks the body before it is parsed
 * @param lastEvent the value of the header Last-Event-ID, and the field it sets, taking precedence over the URL
 * @throws ConnectError invalid_argument with the violations as google.rpc.BadRequest; a body of the wrong Content-Type is HTTP
 * 415
 */
export function decodeRequest(
  route: RestRoute,
  variables: readonly string[],
  query: string,
  body: HttpBodyBytes | null,
  registry?: Registry,
  ifMatch: string | null = null,
  check?: MessageCheck,
  lastEvent?: { readonly field: DescField; readonly value: string },
): DecodedRequest {
  const { input } = route.method;
  const tree: Tree = { json: {}, masks: [] };
  for (const [name, value] of query === "" ? [] : parseQuery(query)) addParameter(route, tree, name, value);
  const bodyPaths = addBody(route, tree, body, check);
  route.variables.forEach((variable, index) => {
    addVariable(tree, variable, variables[index] ?? "");
  });
  if (route.etag !== undefined && ifMatch !== null) addEtag(tree, route.etag, ifMatch);
  if (lastEvent !== undefined) setText(tree, lastEvent.field, lastEvent.value);
  const message = decodeTree(input, tree.json, registry);
  for (const { fields, paths } of tree.masks) setFieldMask(input, message, fields, paths);
  // An empty file is a file; only an empty body without a type is none.
  if (body !== null && (body.bytes.length > 0 || body.contentType !== null)) addHttpBody(route, message, body);
  return { message, bodyPaths };
}

/** FieldMasks are kept separately: a path such as `line_2` has no JSON form. */
type Tree = { json: JsonValue; masks: { fields: readonly DescField[]; paths: string[] }[] };

function decodeTree(input: DescMessage, json: JsonValue, registry: Registry | undefined): Message {
  try {
    if (isStrict(input, json)) return fromJson(input, json, { registry });
  } catch (error) {
    throw invalidRequest(...explainJson(input, json, error, registry));
  }
  throw invalidRequest(...explainJson(input, json, undefined, registry));
}

function addParameter(route: RestRoute, tree: Tree, name: string, value: string): void {
  const unknown = () => invalidRequest({ field: cutText(name), description: "unknown query parameter" });
  if (route.body.kind === "message") throw unknown();
  const fields: DescField[] = [];
  let message: DescMessage | undefined = route.method.input;
  const steps = name.split(".");
  if (steps.length > maxJsonDepth)
    throw invalidRequest({ field: cutText(name), description: `nests deeper than ${maxJsonDepth} levels` });
  for (const step of steps) {
    const field: DescField | undefined = message && fieldNamed(message, step);
    if (field === undefined) throw unknown();
    fields.push(field);
    message = nestedMessage(field);
  }
  const leaf = fields.at(-1);
  const holder = objectAt(tree.json, fields.slice(0, -1));
  if (leaf === undefined || holder === undefined) throw unknown();
  const path = fields.map((field) => field.name).join(".");
  const json = textToJson(leaf, value, path);
  const previous = holder[leaf.jsonName];
  if (leaf.fieldKind === "list") {
    if (Array.isArray(previous)) previous.push(json);
    else holder[leaf.jsonName] = [json];
    return;
  }
  if (previous !== undefined) throw invalidRequest({ field: path, description: "is given more than once" });
  holder[leaf.jsonName] = json;
  if (isFieldMask(leaf)) {
    holder[leaf.jsonName] = "";
    tree.masks.push({ fields, paths: fieldMaskPaths(value) });
  }
}

function addBody(
  route: RestRoute,
  tree: Tree,
  body: HttpBodyBytes | null,
  check: MessageCheck | undefined,
): () => string[] {
  const nothing = () => [];
  if (body === null || body.bytes.length === 0) return nothing;
  if (route.body.kind === "none")
    throw invalidRequest({
      field: "",
      description: `${route.httpMethod} ${route.path} takes no request body`,
    });
  const target = route.body.kind === "message" ? route.method.input : route.body.field.message;
  if (isHttpBody(target)) return nothing;
  requireJson(body.contentType);
  const problem = check?.problem(body.bytes, false);
  if (problem !== undefined) throw invalidRequest({ field: "", description: problem });
  const parsed = parseJsonBody(body.bytes);
  if (route.body.kind === "message") {
    tree.json = normalizeJson(route.method.input, parsed);
    return () => presentPaths(route.method.input, parsed.json);
  }
  const { field } = route.body;
  const json = normalizeFieldJson(field, parsed);
  const message = nestedMessage(field);
  (tree.json as JsonObject)[field.jsonName] = json;
  const paths = message === undefined ? nothing : () => presentPaths(message, json);
  if (route.updateMask !== undefined) fillUpdateMask(route, field, tree, route.updateMask, paths());
  return paths;
}

/** A field that the path binds, such as `book.name`, identifies the resource and is not a change. */
function fillUpdateMask(route: RestRoute, bodyField: DescField, tree: Tree, mask: DescField, present: string[]): void {
  if (tree.masks.some(({ fields, paths }) => fields.length === 1 && fields[0] === mask && paths.length > 0)) return;
  const prefix = `${bodyField.name}.`;
  const bound = new Set(route.variables.map(({ name }) => (name.startsWith(prefix) ? name.slice(prefix.length) : "")));
  (tree.json as JsonObject)[mask.jsonName] = "";
  tree.masks.push({ fields: [mask], paths: present.filter((path) => !bound.has(path)) });
}

function addVariable(tree: Tree, { name, parents, field, multiSegment }: PathVariable, raw: string): void {
  const holder = objectAt(tree.json, parents);
  // The body has a non-object in this place, which decoding will report.
  if (holder === undefined) return;
  const json = textToJson(field, decodeVariable(raw, multiSegment, name), name);
  const given = holder[field.name] ?? holder[field.jsonName] ?? null;
  if (given !== null && contradicts(field, given, json))
    throw invalidRequest({
      field: name,
      description: `is ${quoted(json)} in the path, but ${quoted(given)} beside it`,
    });
  if (field.name !== field.jsonName) delete holder[field.name];
  holder[field.jsonName] = json;
}

/** Whether two representations of a field's value differ, and the first is not the default. */
function contradicts(field: DescField, given: JsonValue, json: JsonValue): boolean {
  const holderOf = (value: JsonValue) => fromJson(field.parent, { [field.jsonName]: value });
  try {
    const message = holderOf(given);
    const value = reflect(field.parent, message, false).get(field);
    return value !== "" && Boolean(value) && !equals(field.parent, message, holderOf(json));
  } catch {
    // The value does not even decode.
    return true;
  }
}

function quoted(json: JsonValue): string {
  return cutText(JSON.stringify(json));
}

function setText(tree: Tree, field: DescField, value: string): void {
  const json = textToJson(field, value, "Last-Event-ID");
  if (!isObject(tree.json)) return;
  if (field.name !== field.jsonName) delete tree.json[field.name];
  tree.json[field.jsonName] = json;
}

function addEtag(tree: Tree, path: readonly DescField[], ifMatch: string): void {
  const tag = demandedTag(ifMatch);
  const field = path.at(-1) as DescField;
  const holder = objectAt(tree.json, path.slice(0, -1));
  if (tag === undefined || holder === undefined) return;
  const given = holder[field.name] ?? holder[field.jsonName] ?? "";
  if (given !== "" && given !== tag)
    throw invalidRequest({ field: path.map(({ name }) => name).join("."), description: "differs from If-Match" });
  if (field.name !== field.jsonName) delete holder[field.name];
  holder[field.jsonName] = tag;
}

function decodeVariable(raw: string, multiSegment: boolean, path: string): string {
  if (!raw.includes("%")) return raw;
  try {
    // A slash in a multi-segment variable would look like a separator: the specification leaves it encoded.
    return decodeURIComponent(multiSegment ? raw.replace(/%2f/gi, (slash) => `%25${slash.slice(1)}`) : raw);
  } catch {
    throw invalidRequest({ field: path, description: "is not valid percent-encoded UTF-8 in the path" });
  }
}

/** The JSON object with the fields of the last message of `path`, under either name; created if missing. */
function objectAt(root: JsonValue, path: readonly DescField[]): JsonObject | undefined {
  let json: JsonValue = root;
  for (const field of path) {
    if (!isObject(json)) return undefined;
    const key: string = Object.hasOwn(json, field.name) ? field.name : field.jsonName;
    json = json[key] ??= {};
  }
  return isObject(json) ? json : undefined;
}

function isObject(json: JsonValue): json is JsonObject {
  return json !== null && typeof json === "object" && !Array.isArray(json);
}

function isFieldMask(field: DescField): boolean {
  return field.fieldKind === "message" && field.message.typeName === FieldMaskSchema.typeName;
}

function setFieldMask(input: DescMessage, root: Message, fields: readonly DescField[], paths: string[]): void {
  let holder = reflect(input, root, false);
  for (const field of fields.slice(0, -1)) {
    // The body may have replaced the query's value.
    if (field.fieldKind !== "message" || !holder.isSet(field)) return;
    holder = holder.get(field);
  }
  const mask = fields.at(-1) as DescField;
  if (holder.isSet(mask)) holder.set(mask, reflect(FieldMaskSchema, create(FieldMaskSchema, { paths })));
}

function isHttpBody(message: DescMessage | undefined): message is DescMessage {
  return message?.typeName === "google.api.HttpBody";
}

function addHttpBody(route: RestRoute, message: Message, { bytes, contentType }: HttpBodyBytes): void {
  const { input } = route.method;
  const content = { contentType: contentType ?? "", data: bytes };
  if (route.body.kind === "message" && isHttpBody(input)) Object.assign(message, content);
  if (route.body.kind !== "field" || !isHttpBody(route.body.field.message)) return;
  const desc = route.body.field.message;
  reflect(input, message, false).set(route.body.field, reflect(desc, create(desc, content)));
}

function requireJson(contentType: string | null): void {
  if (contentType !== null && /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(contentType)) return;
  const error = new ConnectError(
    `the request body must be application/json, not ${contentType === null ? "without a Content-Type" : cutText(contentType)}`,
    Code.InvalidArgument,
  );
  throw withHttpStatus(error, 415);
}
