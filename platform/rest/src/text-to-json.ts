import { type DescEnum, type DescField, type DescMessage, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import { fieldMaskJson } from "./field-mask.ts";
import { invalidRequest } from "./invalid-request.ts";
import { cutText } from "./refusal-limits.ts";
import { valueProblem } from "./strict-json.ts";

/**
 * Converts text from a URL to protobuf JSON, for a scalar, an enum (name or number), or a message whose JSON is a single value
 * (Timestamp, Duration, FieldMask, wrappers; Struct, Value and ListValue as JSON text). For a repeated field, the JSON of one
 * item. Numbers stay text, so that no digit is lost.
 *
 * @param path names the value in the error, an invalid_argument
 */
export function textToJson(field: DescField, text: string, path: string): JsonValue {
  const problem = (description: string) => invalidRequest({ field: path, description });
  const kind = field.fieldKind === "list" ? field.listKind : field.fieldKind;
  if (kind === "scalar") return scalar((field as { scalar: ScalarType }).scalar, text, problem);
  if (kind === "enum") return enumValue((field as { enum: DescEnum }).enum, text, problem);
  const message = field.fieldKind === "map" ? undefined : field.message;
  if (message === undefined) throw problem("is a map, which a URL cannot carry");
  return wellKnown(message, text, problem);
}

type Problem = (description: string) => Error;

function scalar(type: ScalarType, text: string, problem: Problem): JsonValue {
  switch (type) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BOOL:
      if (text !== "true" && text !== "false") throw problem(`expected true or false, got ${quote(text)}`);
      return text === "true";
    case ScalarType.BYTES:
      // An unencoded "+" of standard base64 arrives as a space, which base64 does not contain.
      return text.replaceAll(" ", "+");
    default: {
      const description = valueProblem(type, text);
      if (description !== undefined) throw problem(description);
      return text;
    }
  }
}

function enumValue(desc: DescEnum, text: string, problem: Problem): JsonValue {
  if (valueProblem(ScalarType.INT32, text) === undefined) return Number(text);
  if (desc.values.some((value) => value.name === text)) return text;
  throw problem(`${quote(text)} is not a value of ${desc.typeName}`);
}

function wellKnown(message: DescMessage, text: string, problem: Problem): JsonValue {
  switch (message.typeName) {
    case "google.protobuf.Timestamp":
    case "google.protobuf.Duration":
      return text;
    case "google.protobuf.FieldMask":
      return fieldMaskJson(text);
    case "google.protobuf.Struct":
    case "google.protobuf.Value":
    case "google.protobuf.ListValue":
      try {
        return JSON.parse(text);
      } catch {
        throw problem("expected JSON text");
      }
  }
  const value = message.fields[0];
  if (wrapper.test(message.typeName) && value?.fieldKind === "scalar") return scalar(value.scalar, text, problem);
  throw problem(`is a ${message.typeName}, which a URL cannot carry: name one of its fields`);
}

const wrapper = /^google\.protobuf\.(Double|Float|U?Int64|U?Int32|Bool|String|Bytes)Value$/;

function quote(text: string): string {
  return JSON.stringify(cutText(text, 60));
}
