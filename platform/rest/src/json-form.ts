import type { Registry } from "@bufbuild/protobuf";

/** Options of the JSON encoding. */
export type JsonForm = {
  /** Types for google.protobuf.Any and error details. */
  readonly registry?: Registry | undefined;
  /** Whether fields have their proto names, or protobuf JSON's default lowerCamelCase. */
  readonly useProtoFieldName: boolean;
};

/** Proto names, and no registry. */
export const plainForm: JsonForm = { useProtoFieldName: true };
