import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { memoize } from "./deep-freeze.ts";
import { entityTag } from "./entity-tag.ts";
import { hasOwnJsonForm } from "./fields.ts";
import type { JsonForm } from "./json-form.ts";
import type { RestRoute } from "./route.ts";

/** A body with its content type, and for GET its entity tag. */
type Content = { contentType: string; bytes: Uint8Array; entityTag?: string };

const encoder = new TextEncoder();

/**
 * Encodes a response message: as JSON with zeros and empty lists present, of the whole message or of the rule's
 * `response_body`; or as the bytes of a google.api.HttpBody.
 *
 * @throws Error for an Any whose type is not in the registry
 */
export function encodeResponse(route: RestRoute, message: Message, form: JsonForm): Content {
  return memoize(message, route, () => {
    const raw = httpBody(route, message);
    if (raw !== undefined) {
      const contentType = raw.contentType || "application/octet-stream";
      return { contentType, bytes: raw.data, ...tagged(route, raw.data, undefined) };
    }
    const json = responseJson(route, message, form);
    const bytes = encoder.encode(JSON.stringify(json));
    return { contentType: "application/json", bytes, ...tagged(route, bytes, (Object(json) as JsonObject).etag) };
  });
}

function tagged({ httpMethod }: RestRoute, bytes: Uint8Array, own: JsonValue | undefined) {
  return httpMethod === "GET" ? { entityTag: entityTag(bytes, typeof own === "string" ? own : undefined) } : {};
}

/** The JSON of a response message or of the rule's `response_body` in it. */
export function responseJson(route: RestRoute, message: Message, form: JsonForm): JsonValue {
  const { method, responseBody: field } = route;
  if (field === undefined) return messageJson(method.output, message, form);
  if (field.fieldKind === "message" && !hasOwnJsonForm(field.message))
    return messageJson(field.message, fieldMessage(method.output, message, field), form);
  const json = messageJson(method.output, message, form) as JsonObject;
  return json[form.useProtoFieldName ? field.name : field.jsonName] ?? null;
}

/** Whether the route answers with the bytes of a google.api.HttpBody. */
export function answersHttpBody({ method, responseBody }: RestRoute): boolean {
  return (responseBody ?? { message: method.output }).message?.typeName === "google.api.HttpBody";
}

function httpBody(route: RestRoute, message: Message): { contentType: string; data: Uint8Array } | undefined {
  if (!answersHttpBody(route)) return undefined;
  const { method, responseBody: field } = route;
  const body = field?.fieldKind === "message" ? fieldMessage(method.output, message, field) : message;
  return body as Message & { contentType: string; data: Uint8Array };
}

/** The message in a field; reflection creates an empty one if it is unset, so that an answer has a body. */
function fieldMessage(output: DescMessage, message: Message, field: DescField & { fieldKind: "message" }): Message {
  return reflect(output, message, false).get(field).message;
}

function messageJson(desc: DescMessage, message: Message, { useProtoFieldName, registry }: JsonForm): JsonValue {
  return toJson(desc, message, { useProtoFieldName, alwaysEmitImplicit: true, ...(registry && { registry }) });
}
