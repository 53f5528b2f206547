import { type DescField, type DescMessage, getOption, type MessageShape } from "@bufbuild/protobuf";
import { type Path, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { Violation } from "@bufbuild/protovalidate";
import { field as fieldRules, Ignore } from "@shop/gen/buf/validate/validate_pb";
import { currency } from "@shop/gen/shop/common/v1/currency_pb";
import { minorUnitDigits } from "@shop/money";

/** The violations of currency fields, marked by the option `(shop.common.v1.currency)`, that are not in ISO 4217. */
export function currencyViolations<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Violation[] {
  return fieldsOf(schema).length === 0 ? [] : [...unlisted(reflect(schema, message), [])];
}

function* unlisted(message: ReflectMessage, path: Path): Generator<Violation> {
  for (const field of fieldsOf(message.desc)) {
    if (!message.isSet(field)) continue;
    const at = [...path, field];
    if (field.fieldKind === "scalar") {
      if (minorUnitDigits(message.get(field) as string) !== undefined) continue;
      yield new Violation("must be a currency of ISO 4217, such as EUR", "currency", at, [], false);
    } else if (field.fieldKind === "message") {
      yield* unlisted(message.get(field), at);
    } else if (field.fieldKind === "list") {
      for (const [index, item] of [...message.get(field)].entries())
        yield* unlisted(item as ReflectMessage, [...at, { kind: "list_sub", index }]);
    }
  }
}

const known = new WeakMap<DescMessage, readonly DescField[]>();

/** The fields that hold a currency, directly or in a submessage or list. */
function fieldsOf(schema: DescMessage): readonly DescField[] {
  const before = known.get(schema);
  if (before !== undefined) return before;
  // Ends the recursion of a message that contains itself.
  known.set(schema, []);
  const fields = schema.fields.filter(
    (field) =>
      // Excludes fields that a method checks itself.
      getOption(field, fieldRules).ignore !== Ignore.ALWAYS &&
      (field.fieldKind === "message" || field.fieldKind === "list"
        ? field.message !== undefined && fieldsOf(field.message).length > 0
        : field.fieldKind === "scalar" && getOption(field, currency)),
  );
  known.set(schema, fields);
  return fields;
}
