import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import fc from "fast-check";

/** Values that a JSON Schema accepts, for the keywords that the description uses. */
export function valuesOf(schema: JsonObject, resolve: (schema: JsonObject) => JsonObject): fc.Arbitrary<JsonValue> {
  const { $ref, ...beside } = schema;
  if ($ref !== undefined) return valuesOf({ ...resolve({ $ref }), ...beside, $ref: undefined as never }, resolve);
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum);
  const types = [schema.type].flat() as string[];
  return fc.oneof(...types.map((type) => ofType(type, schema, resolve)));
}

function ofType(
  type: string,
  schema: JsonObject,
  resolve: (schema: JsonObject) => JsonObject,
): fc.Arbitrary<JsonValue> {
  switch (type) {
    case "boolean":
      return fc.boolean();
    case "integer": {
      const { minimum: min = -(2 ** 31), maximum: max = 2 ** 31 - 1, not } = schema as Record<string, number>;
      const never = (not as unknown as { enum: number[] } | undefined)?.enum ?? [];
      return fc.integer({ min: min!, max: max! }).filter((number) => !never.includes(number));
    }
    case "number":
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case "string":
      return texts(schema);
    case "array":
      return fc.array(valuesOf(schema.items as JsonObject, resolve), {
        minLength: (schema.minItems as number | undefined) ?? 0,
        maxLength: Math.min((schema.maxItems as number | undefined) ?? 3, 3),
      });
    case "object": {
      const properties = Object.entries((schema.properties ?? {}) as Record<string, JsonObject>);
      const arbitraries = Object.fromEntries(properties.map(([name, one]) => [name, valuesOf(one, resolve)]));
      return fc.record(arbitraries, { requiredKeys: (schema.required ?? []) as string[], noNullPrototype: true });
    }
    default:
      throw new Error(`no values of ${JSON.stringify(schema)}`);
  }
}

function texts({ format, pattern, minLength = 0, maxLength = 60 }: JsonObject): fc.Arbitrary<string> {
  if (format === "date-time") {
    return fc
      .date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })
      .map((date) => date.toISOString());
  }
  const isFitting = (text: string) => text.length >= Number(minLength) && text.length <= Number(maxLength);
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern as string)).filter(isFitting);
  return fc.string({ unit: "grapheme", minLength: Number(minLength), maxLength: Number(maxLength) }).filter(isFitting);
}
