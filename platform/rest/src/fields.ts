import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";

const fieldsByName = new WeakMap<DescMessage, Map<string, DescField>>();

/** A field by its proto name or its JSON name: protobuf's JSON accepts both. */
export function fieldNamed(message: DescMessage, name: string): DescField | undefined {
  let fields = fieldsByName.get(message);
  if (fields === undefined) {
    fields = new Map();
    for (const field of message.fields) fields.set(field.jsonName, field);
    for (const field of message.fields) fields.set(field.name, field);
    fieldsByName.set(message, fields);
  }
  return fields.get(name);
}

/**
 * The message whose fields are the next step of a path through `field`; undefined for repeated fields, scalars, and messages
 * with their own JSON form (Timestamp, wrappers, Struct ...).
 */
export function nestedMessage(field: DescField): DescMessage | undefined {
  return field.fieldKind === "message" && !hasOwnJsonForm(field.message) ? field.message : undefined;
}

/** Whether protobuf's JSON represents the message otherwise than as an object of its fields. */
export function hasOwnJsonForm(message: DescMessage): boolean {
  return ownJsonForms.has(message.typeName);
}

const ownJsonForms = new Set(
  [
    ...["Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue"],
    ...["DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value", "UInt32Value"],
    ...["BoolValue", "StringValue", "BytesValue"],
  ].map((name) => `google.protobuf.${name}`),
);

/** Whether protobuf's JSON represents the scalar as text, because a JavaScript number can't hold it: 64-bit integers. */
export function isWide(scalar: ScalarType): boolean {
  return wide.has(scalar);
}

const wide = new Set([ScalarType.INT64, ScalarType.UINT64, ScalarType.SINT64, ScalarType.FIXED64, ScalarType.SFIXED64]);
