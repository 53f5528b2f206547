import type { Registry } from "@bufbuild/protobuf";

/** How messages are written as JSON. */
export type JsonForm = {
  /** Types for google.protobuf.Any and error details. */
  readonly registry?: Registry | undefined;
  /** Whether fields are called as in the proto file, or in lowerCamelCase as by default in protobuf's JSON. */
  readonly useProtoFieldName: boolean;
};

/** Proto names, and no types but those of messages themselves. */
export const plainForm: JsonForm = { useProtoFieldName: true };
