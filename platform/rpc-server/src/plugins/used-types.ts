import type { DescEnum, DescMessage } from "@bufbuild/protobuf";

/**
 * The names of top-level messages and enums that these messages are or refer to, transitively. A nested type counts as its
 * outermost message.
 */
export function usedTypes(messages: Iterable<DescMessage>): Set<string> {
  const seen = new Set<DescMessage>();
  const names = new Set<string>();
  function add(desc: DescMessage | DescEnum): void {
    if (desc.parent !== undefined) add(desc.parent);
    else names.add(desc.typeName);
    if (desc.kind === "enum" || seen.has(desc)) return;
    seen.add(desc);
    for (const field of desc.fields) {
      if (field.message !== undefined) add(field.message);
      if (field.enum !== undefined) add(field.enum);
    }
    for (const inner of desc.nestedMessages) add(inner);
  }
  for (const message of messages) add(message);
  return names;
}
