import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { type ProductRow, productRows } from "./product-rows.ts";
import { openTextFile } from "./text-file.ts";

const header = "sku,name,category,price.currency_code,price.minor_units,stock";

function write(content: string | Uint8Array, name = "products.csv"): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return path;
}

async function rowsOf(path: string): Promise<ProductRow[]> {
  const file = await openTextFile(path);
  try {
    return await Array.fromAsync(productRows(path, file));
  } finally {
    await file.close();
  }
}

/** Each row as its line, and its name or its mistake. */
async function read(content: string | Uint8Array, name?: string): Promise<(readonly [number, string])[]> {
  const rows = await rowsOf(write(content, name));
  return rows.map((row) => [row.line, "product" in row ? row.product.name : row.mistake] as const);
}

const utf16 = (text: string, littleEndian: boolean) => {
  const bytes = Buffer.from(`\ufeff${text}`, "utf16le");
  return littleEndian ? bytes : bytes.swap16();
};

describe("a file is read in the form in which it was saved:", () => {
  const csv = `${header}\nK-1,Kännchen 日本 👩‍💻,Küche,EUR,3990,25\n`;

  test.each([
    ["UTF-8", Buffer.from(csv)],
    ["UTF-8 with a byte order mark", Buffer.from(`\ufeff${csv}`)],
    ["UTF-16 LE", utf16(csv, true)],
    ["UTF-16 BE", utf16(csv, false)],
    ["with \\r\\n", Buffer.from(csv.replaceAll("\n", "\r\n"))],
    ["with \\r", Buffer.from(csv.replaceAll("\n", "\r"))],
    ["without a line break at its end", Buffer.from(csv.trimEnd())],
    ["with semicolons", Buffer.from(csv.replaceAll(",", ";"))],
    ["with tabs", Buffer.from(csv.replaceAll(",", "\t"))],
    ["UTF-16 with tabs, as Excel's Unicode text", utf16(csv.replaceAll(",", "\t").replaceAll("\n", "\r\n"), true)],
    ["quoted everywhere", Buffer.from(csv.replace(/[^,\n]+/g, '"$&"'))],
    ["with spaces around quoted cells", Buffer.from(csv.replace(/[^,\n]+/g, ' "$&" '))],
    ["with columns without a name at the end", Buffer.from(csv.replaceAll("\n", ",,\n"))],
    ["with names in capital letters", Buffer.from(csv.replace(header, header.toUpperCase()))],
    [
      "with names in JSON form",
      Buffer.from(csv.replace(header, "sku,name,category,price.currencyCode,price.minorUnits,stock")),
    ],
  ])("%s", async (_how, bytes) => {
    const [row] = await rowsOf(write(bytes));
    expect(row).toMatchObject({
      line: 2,
      product: {
        sku: "K-1",
        name: "Kännchen 日本 👩‍💻",
        category: "Küche",
        price: { currencyCode: "EUR", minorUnits: 3990n },
        stock: 25,
      },
    });
  });

  test("with Excel's line that names the separator", async () => {
    expect(await read(`sep=;\r\n${csv.replaceAll(",", ";")}`)).toEqual([[3, "Kännchen 日本 👩‍💻"]]);
  });

  test("with line breaks of several kinds, and with characters that only JavaScript takes for line breaks", async () => {
    const [a, b, c] = ["A", "B\u2028b", "C"].map((name) => `K-${name[0]},${name},Kitchen,EUR,1,`);
    expect(await read(`${header}\r\n${a}\n${b}\r${c}`)).toEqual([
      [2, "A"],
      [3, "B\u2028b"],
      [4, "C"],
    ]);
    const json = (sku: string) =>
      JSON.stringify({
        sku,
        name: `${sku}\u2028${sku}`,
        category: "x",
        price: { currency_code: "EUR", minor_units: 1 },
      });
    expect(await read(`${json("A")}\n${json("B")}`, "products.ndjson")).toEqual([
      [1, "A\u2028A"],
      [2, "B\u2028B"],
    ]);
  });
});

describe("an unsupported encoding is refused before the first row, with the line and a hint:", () => {
  const lines = [header, "K-1,Kettle,Kitchen,EUR,3990,25", "K-2,Kännchen,Küche,EUR,4990,10"].join("\n");
  const bytesOf = (text: string) => Buffer.from(text, "latin1");
  const withBytes = (...bytes: number[]) => Buffer.concat([Buffer.from(`${header}\n\n`), Buffer.from(bytes)]);

  test.each([
    ["Windows-1252", bytesOf(lines), 3],
    ["the first half of a character at the end", Buffer.from(lines).subarray(0, lines.indexOf("ü") + 2), 3],
    ["Shift JIS", withBytes(0x83, 0x65, 0x81, 0x5b), 3],
    ["ISO-2022-JP", bytesOf(`${header}\nK-1,\x1b$B%F\x1b(B,x,EUR,1,1`), 2],
    ["UTF-16 without a byte order mark", Buffer.from(lines, "utf16le"), 1],
    ["UTF-32 LE", Buffer.from([0xff, 0xfe, 0, 0, 0x73, 0, 0, 0]), 1],
    ["UTF-32 BE", Buffer.from([0, 0, 0xfe, 0xff, 0, 0, 0, 0x73]), 1],
    ["an overlong form", withBytes(0xc0, 0xaf), 3],
    ["a surrogate in UTF-8", withBytes(0xed, 0xa0, 0x80), 3],
    [
      "half of a surrogate pair in UTF-16",
      Buffer.concat([utf16(`${header}\n`, true), Buffer.from([0x00, 0xd8, 0x2c, 0])]),
      2,
    ],
    ["an odd byte at the end of UTF-16", Buffer.concat([utf16(lines, true), Buffer.from([0x41])]), 3],
    ["characters that an earlier conversion lost", Buffer.from(lines.replace("ä", "\ufffd")), 3],
  ])("%s", async (_what, bytes, line) => {
    await expect(rowsOf(write(bytes))).rejects.toThrow(
      expect.objectContaining({
        name: "FileError",
        message: expect.stringMatching(new RegExp(`^line ${line} can't be read as .*UTF-.* Save it as UTF-8`)),
      }),
    );
  });

  test.each([
    ["a workbook", [0x50, 0x4b, 3, 4, 20, 0], "a workbook such as .xlsx"],
    ["an old workbook", [0xd0, 0xcf, 0x11, 0xe0, 0xa1], "a workbook (.xls)"],
    ["a compressed file", [0x1f, 0x8b, 8, 0], "compressed"],
  ])("%s", async (_what, bytes, words) => {
    await expect(rowsOf(write(Buffer.from(bytes)))).rejects.toThrow(words);
  });

  test("also after the first megabytes, where a character spans two reads", async () => {
    const name = "日本".repeat(30);
    const many = Array.from({ length: 10_000 }, (_, index) => `K-${index},${name},x,EUR,1,1\n`).join("");
    expect(await rowsOf(write(`${header}\n${many}`))).toHaveLength(10_000);
    const broken = Buffer.concat([Buffer.from(`${header}\n${many}`), Buffer.from([0xe4])]);
    await expect(rowsOf(write(broken))).rejects.toThrow(/^line 10002 /);
  });
});

describe("an unreadable row is reported with its line, and the other rows are imported:", () => {
  const good = (name: string) => `K-${name},${name},Kitchen,EUR,1,1`;
  const badlyQuoted = expect.stringContaining("badly quoted");

  test("short and long ones", async () => {
    expect(await read([header, good("A"), "K-B,B", good("C"), `${good("D")},7,`, good("E")].join("\n"))).toEqual([
      [2, "A"],
      [3, "has 2 cells for 6 columns: a row has a cell for each, empty or not"],
      [4, "C"],
      [5, "has 8 cells for 6 columns: a cell that holds a comma stands in quotes"],
      [6, "E"],
    ]);
  });

  test("after quoted cells with line breaks", async () => {
    const csv = [
      header,
      'K-A,"A\n\na",Kitchen,EUR,1,1',
      "short",
      'K-B,"B""\r\nb",Kitchen,EUR,1,1',
      "short",
      "",
      ",,,,,",
      good("C"),
    ];
    expect(await read(csv.join("\n"))).toEqual([
      [2, "A\n\na"],
      [5, expect.stringContaining("1 cell for 6")],
      [6, 'B"\nb'],
      [8, expect.stringContaining("1 cell for 6")],
      [11, "C"],
    ]);
  });

  test.each([
    ["a quote that is never closed", 'K-B,"B,Kitchen,EUR,1,1'],
    ["a quote in the middle of a cell", 'K-B,12" pan,Kitchen,EUR,1,1'],
    ["two of them", 'K-B,12" pan 7",Kitchen,EUR,1,1'],
    ["text after the closing quote", 'K-B,"B" b,Kitchen,EUR,1,1'],
    ["a quote that is not doubled", 'K-B,"12" pan",Kitchen,EUR,1,1'],
  ])("%s", async (_what, row) => {
    const quoted = 'K-D,"D, ""d""",Kitchen,EUR,1,1';
    expect(await read([header, good("A"), row, good("C"), quoted, row, good("E"), row].join("\n"))).toEqual([
      [2, "A"],
      [3, badlyQuoted],
      [4, "C"],
      [5, 'D, "d"'],
      [6, badlyQuoted],
      [7, "E"],
      [8, badlyQuoted],
    ]);
  });

  test("thousands of them in seconds, and endless lines in bounded memory", async () => {
    const rows = Array.from(
      { length: 3_000 },
      (_, index) => `K-${index},"${"x".repeat(60)},Kitchen,EUR,1,1\n${good(`G${index}`)}\n`,
    );
    const read = await rowsOf(write(`${header}\n${rows.join("")}${"y".repeat(3_000_000)}\n${good("Z")}`));
    expect(read.filter((row) => "product" in row)).toHaveLength(3_001);
    expect(read.at(-2)).toMatchObject({ line: 6_002, mistake: expect.stringContaining("longer than") });
  });
});

describe("an invalid header is refused before the first row:", () => {
  test.each([
    ["a column given twice", `${header},name`, /name is given by columns 2 and 7/],
    [
      "twice in two forms",
      `${header},price.minorUnits,Stock`,
      /price.minor_units is given by columns 5 and 7; stock is given by columns 6 and 8/,
    ],
    [
      "one that is not a field of products",
      `${header},colour`,
      /"colour" is not a field of products.*Columns are sku.*attributes/,
    ],
    [
      "a price without currency and amount",
      "sku,name,category,price",
      /"price" is not a field of products: give price.currency_code and price.minor_units/,
    ],
    ["one that is missing", "sku,name,category,price.currency_code", /price.minor_units is missing/],
    [
      "one without a name between others",
      "sku,,name,category,price.currency_code,price.minor_units",
      /column 2 has no name/,
    ],
    ["another separator", header.replaceAll(",", "|"), /separated by comma, semicolon or tab/],
    ["no header", "K-1,Kettle,Kitchen,EUR,1,1", /line 1 has to name the columns/],
  ])("%s", async (_what, first, message) => {
    await expect(rowsOf(write(`${first}\nK-1,Kettle,Kitchen,EUR,1,1\n`))).rejects.toThrow(message);
  });

  test.each([
    ["an empty file", "", /is empty.*sku,name,category/],
    ["a byte order mark alone", "\ufeff", /is empty/],
    ["blank lines alone", "\n \n\t\n", /is empty/],
    ["a header alone", `${header}\n\n`, /no rows/],
  ])("%s", async (_what, content, message) => {
    await expect(rowsOf(write(content))).rejects.toThrow(message);
  });
});

describe("numbers have digits only:", () => {
  const numbers = [
    "1.234,50",
    "1,234.50",
    "12.99",
    "0x10",
    "1e3",
    "1 299",
    "1\u00a0299",
    "+5",
    "€5",
    "Infinity",
    "١٢",
    "9".repeat(30),
    "12-",
    "1299.0",
    "--1",
  ];

  test.each(numbers)("%s is refused in CSV", async (number) => {
    const quoted = JSON.stringify(number);
    expect(await read(`${header}\nK-1,Kettle,Kitchen,EUR,${quoted},\nK-2,Pot,Kitchen,EUR,5,${quoted}`)).toEqual([
      [2, expect.stringMatching(/^price.minor_units is ".*", but has to be a whole number .* 1299 for 12.99 EUR$/)],
      [3, expect.stringMatching(/^stock is ".*", but has to be a whole number, in digits alone: 25$/)],
    ]);
  });

  test.each([
    ["JPY", "1299 JPY"],
    ["KWD", "1.299 KWD"],
    ["nothing", "12.99 EUR"],
  ])("the error of an invalid price explains the amount 1299 in %s", async (currency, meaning) => {
    expect(await read(`${header}\nK-1,Kettle,Kitchen,${currency},12.99,`)).toEqual([
      [2, expect.stringMatching(new RegExp(`1299 for ${meaning}$`))],
    ]);
  });

  test.each([...numbers.map((number) => JSON.stringify(number)), "12.5", "1e30", "true", "[1]", "{}", '{"x": 1}'])(
    "%s is refused in JSON",
    async (number) => {
      const line = `{"sku": "K-1", "name": "Kettle", "category": "x", "price": {"currency_code": "EUR", "minor_units": ${number}}}`;
      expect(await read(line, "products.jsonl")).toEqual([[1, expect.stringMatching(/minor_units/)]]);
    },
  );

  test("an absent price is not a price of 0", async () => {
    const required = expect.stringMatching(/^price.minor_units is required: a whole number .* 1299 for 12.99 EUR$/);
    const rows = ["K-1,Kettle,Kitchen,EUR,,25", "K-2,Kettle,Kitchen,,,25", 'K-3,Kettle,Kitchen,EUR," ",25'];
    expect(await read([header, ...rows, "K-4,Sample,Kitchen,EUR,0,25"].join("\n"))).toEqual([
      [2, required],
      [3, required],
      [4, required],
      [5, "Sample"],
    ]);
    const prices = ['{"currency_code": "EUR"}', '{"currency_code": "EUR", "minor_units": null}', "{}", "null"];
    const lines = prices.map((price) => `{"sku": "K-1", "name": "Kettle", "category": "x", "price": ${price}}`);
    expect(await read(lines.join("\n"), "products.ndjson")).toEqual(lines.map((_, index) => [index + 1, required]));
  });

  test("a row reports all of its mistakes, and only the beginning of a long text", async () => {
    const [[, mistake]] = (await read(`${header},state\nK-1,Kettle,Kitchen,EUR,x,y,${"z".repeat(9_000)}`)) as [
      [number, string],
    ];
    expect(mistake).toMatch(
      /^price.minor_units is "x".*; stock is "y".*; state is "z+.*PRODUCT_STATE_ACTIVE or PRODUCT_STATE_ARCHIVED$/,
    );
    expect(mistake.length).toBeLessThan(1_000);
  });
});

describe("a line of JSON is refused", () => {
  test.each([
    ["that is not JSON", "nothing", /^is not JSON/],
    ["that is not an object", "[1]", /has to be an object/],
    [
      "with a price that is not an object",
      '{"price": 12}',
      /"price" is not a field of products: give price.currency_code/,
    ],
    ["with a key given twice", '{"sku": "A", "sku": "B"}', /"sku" is given twice/],
    ["with a field in two forms", '{"image_url": "", "imageUrl": ""}', /image_url is given twice/],
    ["with an unknown field", '{"colour": "red"}', /"colour" is not a field of products/],
    ["with a number instead of a text", '{"sku": 1}', /sku has to be a text/],
    ["with half of a surrogate pair", '{"name": "\\ud800"}', /name holds a character that can't be read/],
    ["with a replacement character", '{"name": "K\\ufffdche"}', /name holds a character that can't be read/],
  ])("%s", async (_what, line, mistake) => {
    expect(await read(`${line}\n`, "products.ndjson")).toEqual([[1, expect.stringMatching(mistake)]]);
  });
});

test("attributes are separate columns, and output-only fields are ignored", async () => {
  const csv = `${header},attributes.color,attributes.size_eu,product_id,etag,create_time\nK-1,Kettle,Kitchen,EUR,1,1,red,,x,y,z`;
  const [row] = await rowsOf(write(csv));
  expect(row).toMatchObject({ product: { attributes: { color: "red" }, productId: "", etag: "" } });
});

describe("a path that is not a file has an explanation:", () => {
  test.each([
    ["a name that does not exist", (folder: string) => join(folder, "nope.csv"), "there is no such file"],
    ["a file in the place of a folder", (folder: string) => join(write("x"), folder, "x.csv"), "there is no such file"],
    ["a directory", (folder: string) => folder, "is a directory"],
    ["a device", () => "/dev/null", "is a pipe or a device"],
  ])("%s", async (_what, path, words) => {
    await expect(openTextFile(path(temporaryFolder()))).rejects.toThrow(words);
  });
});
