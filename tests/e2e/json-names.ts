import type { JsonValue } from "@bufbuild/protobuf";

/** Converts JSON with the field names of Connect (`userId`) to those of REST (`user_id`). */
export function snakeCased(json: JsonValue): JsonValue {
  if (Array.isArray(json)) return json.map(snakeCased);
  if (json === null || typeof json !== "object") return json;
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCased(value),
    ]),
  );
}
