import { type DescMessage, fromJson, type JsonValue, type Registry } from "@bufbuild/protobuf";
import { fieldNamed, hasOwnJsonForm } from "./fields.ts";
import type { FieldViolation } from "./invalid-request.ts";
import { cutText, maxViolations } from "./refusal-limits.ts";
import { ownFormProblem, scalarProblem } from "./strict-json.ts";

/**
 * Explains field by field why JSON does not decode as `message`, or is not strict. protobuf-es stops at the first problem and
 * does not report its path. Called only after decoding failed, so a second pass is affordable.
 *
 * @param error of protobuf-es, if decoding was attempted
 * @returns at least one violation, with the text of `error` if no single field is at fault
 */
export function explainJson(
  message: DescMessage,
  json: JsonValue,
  error: unknown,
  registry: Registry | undefined,
): FieldViolation[] {
  const violations: FieldViolation[] = [];
  explainMessage(message, json, "", violations, registry);
  if (violations.length === 0) violations.push({ field: culprit(error), description: reason(error) });
  return violations;
}

function explainMessage(
  message: DescMessage,
  json: JsonValue,
  path: string,
  violations: FieldViolation[],
  registry: Registry | undefined,
): void {
  if (violations.length >= maxViolations) return;
  if (hasOwnJsonForm(message)) {
    const problem = ownFormProblem(message, json);
    if (problem === undefined) attempt(message, json, path, violations, registry);
    else violations.push({ field: path, description: problem });
    return;
  }
  if (json === null || typeof json !== "object" || Array.isArray(json)) {
    violations.push({ field: path, description: "is not a JSON object" });
    return;
  }
  for (const [key, value] of Object.entries(json)) {
    const field = fieldNamed(message, key);
    const name = field?.name ?? cutText(key);
    const at = path === "" ? name : `${path}.${name}`;
    if (field === undefined) {
      if (!key.startsWith("[")) violations.push({ field: at, description: "unknown field" });
    } else if (field.message === undefined || value === null) {
      const problem = value === null ? undefined : scalarProblem(field, value);
      if (problem === undefined) attempt(message, { [key]: value }, at, violations, registry);
      else violations.push({ field: at, description: problem });
    } else if (field.fieldKind === "message") {
      explainMessage(field.message, value, at, violations, registry);
    } else if (typeof value === "object" && Array.isArray(value) === (field.fieldKind === "list")) {
      for (const [index, item] of Object.entries(value)) {
        const itemPath = `${at}[${field.fieldKind === "list" ? index : JSON.stringify(cutText(index))}]`;
        explainMessage(field.message, item as JsonValue, itemPath, violations, registry);
      }
    } else {
      attempt(message, { [key]: value }, at, violations, registry);
    }
    if (violations.length >= maxViolations) return;
  }
}

function attempt(
  message: DescMessage,
  json: JsonValue,
  field: string,
  violations: FieldViolation[],
  registry: Registry | undefined,
): void {
  try {
    fromJson(message, json, { registry });
  } catch (error) {
    violations.push({ field, description: reason(error) });
  }
}

/** The field or oneof that protobuf-es names in the cause of its error. */
function culprit(error: unknown): string {
  const cause = error instanceof Error ? (error.cause as { field?: () => { name: string } } | undefined) : undefined;
  return typeof cause?.field === "function" ? cause.field().name : "";
}

/** The message of protobuf-es without its prefix "cannot decode ... from JSON: ", which names types, not paths. */
function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const ofEnum = /^cannot decode enum (\S+) from JSON: (.*)$/s.exec(message);
  return ofEnum
    ? `${cutText(ofEnum[2]!)} is not a value of ${ofEnum[1]}`
    : cutText(message.replace(/^cannot decode .*? from JSON:? /, ""));
}
