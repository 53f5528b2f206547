import { getOption, hasOption } from "@bufbuild/protobuf";
import { RE2JS } from "@bufbuild/re2";
import { field as fieldRules } from "@shop/gen/buf/validate/validate_pb";
import { file_shop_inventory_v1_inventory_service } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { file_shop_orders_v1_order_service } from "@shop/gen/shop/orders/v1/order_service_pb";
import { file_shop_users_v1_user_service } from "@shop/gen/shop/users/v1/user_service_pb";
import fc from "fast-check";
import { expect, test } from "vitest";
import { matchesPattern } from "./schema-regexp.ts";

const files = [
  file_shop_inventory_v1_inventory_service,
  file_shop_orders_v1_order_service,
  file_shop_users_v1_user_service,
];
const ofSchema = files
  .flatMap(({ messages }) => messages.flatMap(({ fields }) => fields))
  .flatMap((field) => (hasOption(field, fieldRules) ? [getOption(field, fieldRules).type] : []))
  .flatMap((type) => (type.case === "string" && type.value.pattern !== "" ? [type.value.pattern] : []));

const others = [
  "^a{2,3}$",
  "^[^a-c]?$",
  "^-[+.]*-{2}$",
  "^[\\x00-\\x1f]+$",
  "^a.c$",
  "^(a|b)*$",
  "a|b",
  "^\\d+$",
  "^[[:alpha:]]$",
];

test.for([...new Set([...ofSchema, ...others])])("%s matches what RE2 says it does", (pattern) => {
  const re2 = RE2JS.compile(pattern);
  const near = fc.stringMatching(new RegExp(pattern.replaceAll("[[:alpha:]]", "[a-zA-Z]")));
  const change = fc.tuple(near, fc.nat(), fc.string({ unit: "binary", maxLength: 3 }));
  const broken = change.map(([text, at, put]) => {
    const place = at % (text.length + 1);
    return text.slice(0, place) + put + text.slice(place + (at % 2));
  });
  const texts = fc.oneof(
    near,
    broken,
    broken.map((text) => `${text}\n`),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(
      texts.filter((text) => text.isWellFormed()),
      (text) => {
        expect(matchesPattern(pattern, text)).toBe(re2.test(text));
      },
    ),
  );
});

test.for([
  "^(a+)+$",
  "^[a-z]*[a-z]*[a-z]*[a-z]*$",
  "^a{0,9}a{0,9}a{0,9}a{0,9}a{0,9}a{0,9}a{0,9}a{0,9}$",
  "^[a-z]{1,}[a-m]+$",
])("%s, which others try in ever more ways, is done with a long text", (pattern) => {
  expect(matchesPattern(pattern, `${"a".repeat(100_000)}!`)).toBe(false);
});
