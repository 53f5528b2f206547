import { type DescField, type DescMessage, type DescMethod, type Message, ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { nestedMessage } from "./fields.ts";

/** The field paths of a stream's position: `id` in responses, and `after` in the request. */
export type ResumptionPaths = { readonly id: string; readonly after: string };

/** The same, checked against the method. */
export type Resumption = {
  /** The position of a response as text; undefined if it has none. */
  idOf(message: Message): string | undefined;
  /** The request field for the position to resume after. */
  readonly after: DescField;
};

/** @throws Error for paths that the messages do not have, or whose fields are not integers or strings */
export function resumptionOf(method: DescMethod, { id, after }: ResumptionPaths): Resumption {
  const fields: DescField[] = [];
  let message: DescMessage | undefined = method.output;
  for (const step of id.split(".")) {
    const field: DescField | undefined = message?.fields.find(({ name }) => name === step);
    if (field === undefined) throw new Error(`${method.output.typeName} has no field ${id}`);
    fields.push(field);
    message = nestedMessage(field);
  }
  const field = method.input.fields.find(({ name }) => name === after);
  if (field === undefined) throw new Error(`${method.input.typeName} has no field ${after}`);
  if (![field, fields.at(-1)!].every(isPlace))
    throw new Error(`${id} and ${after} of ${method.name} have to be scalars`);
  return { after: field, idOf: (response) => placeIn(method.output, response, fields) };
}

function isPlace(field: DescField): boolean {
  return field.fieldKind === "scalar" && field.scalar !== ScalarType.BYTES;
}

function placeIn(desc: DescMessage, response: Message, fields: readonly DescField[]): string | undefined {
  let holder = reflect(desc, response, false);
  for (const field of fields) {
    if (!holder.isSet(field)) return undefined;
    if (field.fieldKind !== "message") return String(holder.get(field));
    holder = holder.get(field);
  }
  return undefined;
}
