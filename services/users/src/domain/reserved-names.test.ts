import { expect, test } from "vitest";
import { isReservedName } from "./reserved-names.ts";

test.each([
  ...[
    "admin",
    "Admin",
    "ADMIN",
    "admin.",
    ".admin",
    "-admin-",
    "a.d.m.i.n",
    "adm1n",
    "4dm1n",
    "adrnin",
    "admln",
    "_4-D.m1n_",
  ],
  ...[
    "admin1",
    "admin007",
    "1admin",
    "admin_2",
    "4dm1n-99",
    "r00t",
    "ro.ot",
    "5upport",
    "supp0rt.",
    "sy5tem",
    "5h0p",
    "he1p",
  ],
  ...[
    "m0derator",
    "rnoderator",
    "aclmin",
    "user_01h455vb4pex5vsknk084sn02q",
    "Secur1ty",
    "no-reply",
    "n0.reply",
    "null",
    "the.boss",
    "THE-B055",
    "theboss",
    "the.boss2",
  ],
  ...["admin-shop", "shop.admin", "ShopAdmin", "support_team", "5hop-5upport-2", "official-shop-staff", "theboss.shop"],
])("%s is reserved", (username) => {
  expect(isReservedName(username, ["the.boss"])).toBe(true);
});

test.each([
  "alice",
  "admina",
  "badminton",
  "rooted",
  "supporter",
  "shopper-1f2e",
  "jack.root",
  "42",
  "anna.mod.el",
  "stafford",
  "anna-shop",
  "shop-lover",
  "modest",
  "bosse",
])("%s is not", (username) => {
  expect(isReservedName(username, ["the.boss"])).toBe(false);
});
