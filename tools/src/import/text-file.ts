import { type FileHandle, open, stat } from "node:fs/promises";

/** The reason why a file can't be imported: one line for the user, before anything is written. */
export class FileError extends Error {
  override readonly name = "FileError";
}

/** A line of a file, without its line break; `\n`, `\r\n` and `\r` end one. */
export interface FileLine {
  /** Counted from 1. */
  readonly number: number;
  readonly text: string;
  /** It is longer than {@link maxLineLength}; `text` is its beginning. */
  readonly isTooLong: boolean;
}

/** A text in UTF-8, or in UTF-16 with a byte order mark. Its lines can be read more than once. */
export interface TextFile {
  lines(): AsyncGenerator<FileLine>;
  close(): Promise<void>;
}

/** In UTF-16 code units: the longest product has 20,000, and JSON may escape each of them. */
export const maxLineLength = 131_072;

const marks = [
  { encoding: "utf-8", bytes: [0xef, 0xbb, 0xbf] },
  { encoding: "utf-16le", bytes: [0xff, 0xfe] },
  { encoding: "utf-16be", bytes: [0xfe, 0xff] },
] as const;

/** File formats that users mistake for a table, by their first bytes. */
const otherKinds = [
  { kind: "a ZIP archive or a workbook such as .xlsx", bytes: [0x50, 0x4b, 0x03, 0x04] },
  { kind: "a workbook (.xls)", bytes: [0xd0, 0xcf, 0x11, 0xe0] },
  { kind: "compressed (gzip)", bytes: [0x1f, 0x8b] },
  { kind: "a PDF", bytes: [0x25, 0x50, 0x44, 0x46] },
] as const;

const hint = 'Save it as UTF-8, which spreadsheets call "CSV UTF-8" or offer as the character set, and import that.';

/**
 * Characters that valid text never contains: NUL results from reading UTF-16 or UTF-32 as UTF-8; SO, SI and ESC switch
 * alphabets in ISO 2022; and a decoder writes U+FFFD for invalid bytes.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it detects them.
const unreadable = /[\0\x0e\x0f\x1b\ufffd]/;

/**
 * Opens a file and reads it once, in bounded memory, to check that all of it is readable.
 * @throws FileError when the file does not exist, can't be read, or is not a text in one of the encodings
 */
export async function openTextFile(path: string): Promise<TextFile> {
  const handle = await openRegularFile(path);
  try {
    const start = await firstBytes(handle);
    const begins = ({ bytes }: { readonly bytes: readonly number[] }) => bytes.every((byte, at) => start[at] === byte);
    const other = otherKinds.find(begins);
    if (other !== undefined) throw new FileError(`is ${other.kind}, not a text. ${hint}`);
    const encoding = marks.find(begins)?.encoding ?? "utf-8";
    const lines = () => splitLines(decoded(handle, encoding), encoding);
    for await (const _ of lines());
    return { lines, close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw asFileError(error);
  }
}

async function openRegularFile(path: string): Promise<FileHandle> {
  try {
    // Opening a pipe would wait until something writes to it.
    const found = await stat(path);
    if (found.isDirectory()) throw new FileError("is a directory");
    if (!found.isFile()) throw new FileError("is a pipe or a device: write its output to a file first");
    return await open(path);
  } catch (error) {
    throw asFileError(error);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "can't be read: its permissions don't allow it",
  EPERM: "can't be read: its permissions don't allow it",
  ELOOP: "can't be read: its symbolic links lead in a circle",
  ENAMETOOLONG: "there is no such file: the name is too long",
  EIO: "can't be read: the disk reports an error",
};

function asFileError(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (error instanceof FileError || typeof code !== "string") return error;
  return new FileError(reasons[code] ?? `can't be read (${code})`);
}

async function firstBytes(handle: FileHandle): Promise<Uint8Array> {
  const { buffer, bytesRead } = await handle.read(new Uint8Array(4), 0, 4, 0);
  return buffer.subarray(0, bytesRead);
}

async function* decoded(handle: FileHandle, encoding: string): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding);
  for await (const bytes of handle.createReadStream({ start: 0, autoClose: false }))
    yield decoder.decode(bytes as Uint8Array, { stream: true });
  yield decoder.decode();
}

/** @throws FileError at a character that can't be read, with its line */
async function* splitLines(chunks: AsyncIterable<string>, encoding: string): AsyncGenerator<FileLine> {
  let number = 1;
  let text = "";
  let length = 0;
  const line = (): FileLine => ({ number, text, isTooLong: length > maxLineLength });
  let held = "";
  for await (const chunk of chunks) {
    const all = held + chunk;
    // The next chunk shows whether "\n" follows.
    held = all.endsWith("\r") ? "\r" : "";
    for (const [, part, end] of (held ? all.slice(0, -1) : all).matchAll(/([^\r\n]*)(\r\n|\r|\n|$)/g)) {
      if (unreadable.test(part!)) throw unreadableLine(number, encoding);
      if (length <= maxLineLength) text += part!.slice(0, maxLineLength);
      length += part!.length;
      if (!end) continue;
      yield line();
      number++;
      text = "";
      length = 0;
    }
  }
  if (held !== "" || length > 0) yield line();
}

function unreadableLine(number: number, encoding: string): FileError {
  const read =
    encoding === "utf-8"
      ? "UTF-8, and has no byte order mark of UTF-16"
      : `${encoding.toUpperCase()}, which its byte order mark says it is`;
  return new FileError(
    `line ${number} can't be read as ${read}, or holds what an earlier conversion could not read. ${hint}`,
  );
}
