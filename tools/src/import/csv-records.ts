import { parse } from "csv-parse/sync";
import { type FileLine, maxLineLength } from "./text-file.ts";

/** The cells of a record, or its mistake, with the line of the file where it begins. */
export type CsvRecord = { readonly line: number } & (
  | { readonly cells: readonly string[] }
  | { readonly mistake: string }
);

const badlyQuoted =
  'is badly quoted: a cell with a quote or a line break stands in quotes, and each quote in it is doubled, as in "12"" pan"';

/**
 * Splits lines into records of RFC 4180, whose quoted cells may span several lines. After a badly quoted record the
 * next line begins a record, because the end of an unclosed quote can't be known, and later rows must not be lost with it.
 */
export async function* csvRecords(lines: AsyncIterator<FileLine>, delimiter: string): AsyncGenerator<CsvRecord> {
  /** Lines that were read and do not form a record yet. */
  const ahead: { readonly line: FileLine; readonly quotes: number }[] = [];

  async function lineAt(index: number) {
    if (index < ahead.length) return ahead[index];
    const { done, value } = await lines.next();
    if (done) return undefined;
    ahead.push({ line: value, quotes: value.text.split('"').length - 1 });
    return ahead[index];
  }

  for (let first = await lineAt(0); first !== undefined; first = await lineAt(0)) {
    let { text } = first.line;
    let { quotes } = first;
    let taken = 1;
    // An odd number of quotes: the closing one is in a later line.
    while (quotes % 2 === 1 && text.length <= maxLineLength) {
      const next = await lineAt(taken);
      if (next === undefined) break;
      text += `\n${next.line.text}`;
      quotes += next.quotes;
      taken++;
    }
    const line = first.line.number;
    const isTooLong = ahead.slice(0, taken).some((one) => one.line.isTooLong);
    const cells = isTooLong || quotes % 2 === 1 ? undefined : cellsOf(text, delimiter);
    ahead.splice(0, cells === undefined ? 1 : taken);
    if (cells !== undefined) yield { line, cells };
    else if (first.line.isTooLong) yield { line, mistake: `is longer than ${maxLineLength} characters` };
    else yield { line, mistake: badlyQuoted };
  }
}

/** The trimmed cells of one record; undefined when it is badly quoted. */
export function cellsOf(text: string, delimiter: string): readonly string[] | undefined {
  try {
    const options = { delimiter, trim: true, relax_column_count: true, record_delimiter: "\n" };
    const [cells = []] = parse(text, options) as string[][];
    return cells.map((cell) => cell.trim());
  } catch {
    return undefined;
  }
}
