import type { DescMessage, JsonValue } from "@bufbuild/protobuf";
import { fieldNamed, nestedMessage } from "./fields.ts";

/** The paths of a FieldMask as text, `a_b,c.d` or `aB,c.d`, in proto names. */
export function fieldMaskPaths(text: string): string[] {
  if (text === "") return [];
  return text.split(",").map((path) => path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

/**
 * The text of a FieldMask in the lowerCamelCase that protobuf's JSON requires. A path like `line_2` has no such form (it would
 * be read as `line2`) and keeps its underscore, so that the decoder refuses it.
 */
export function fieldMaskJson(text: string): string {
  return text.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * The paths, in proto names, of the fields in a JSON object of `message`: one per leaf, where lists, maps, null, an empty
 * object and messages with their own JSON form are leaves (AIP-134). Unknown keys are left out.
 */
export function presentPaths(message: DescMessage, json: JsonValue): string[] {
  const paths: string[] = [];
  collect(message, json, "", paths);
  return paths;
}

function collect(message: DescMessage, json: JsonValue, prefix: string, paths: string[]): void {
  if (json === null || typeof json !== "object" || Array.isArray(json)) return;
  for (const [key, value] of Object.entries(json)) {
    const field = fieldNamed(message, key);
    if (field === undefined) continue;
    const path = prefix + field.name;
    const nested = nestedMessage(field);
    if (nested !== undefined && isNonEmptyObject(value)) collect(nested, value, `${path}.`, paths);
    else paths.push(path);
  }
}

function isNonEmptyObject(json: JsonValue): boolean {
  return json !== null && typeof json === "object" && !Array.isArray(json) && Object.keys(json).length > 0;
}
