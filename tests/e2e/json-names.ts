import type { JsonValue } from "@bufbuild/protobuf";

/** JSON with the field names of REST (`user_id`) out of JSON with those of Connect (`userId`). */
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
