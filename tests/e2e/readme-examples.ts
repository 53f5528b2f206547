import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A program in a README. */
export interface ReadmeExample {
  /** Its position, as `path:line`. */
  readonly place: string;
  readonly code: string;
  /** Whether it runs in a browser. */
  readonly isPage: boolean;
  /** Its expected output, the block of text after it. */
  readonly prints: string;
}

const repositoryRoot = join(import.meta.dirname, "../..");
const block = /^```(?<kind>ts|ts page|sh)\n(?<code>.*?)^```\n(?:\n```text\n(?<prints>.*?)^```\n)?/gms;
const heredoc = /^npx node --input-type=module-typescript <<'EOF'\n(?<code>.*?)^EOF$/ms;

/** The TypeScript of a README: its `ts` blocks, and the programs that its `sh` blocks pass to Node. */
export function readmeExamples(path: string): readonly ReadmeExample[] {
  const readme = readFileSync(join(repositoryRoot, path), "utf8");
  return [...readme.matchAll(block)].flatMap(({ index, groups }) => {
    const { kind, prints = "" } = groups!;
    const code = kind === "sh" ? heredoc.exec(groups!.code!)?.groups?.code : groups!.code;
    const place = `${path}:${readme.slice(0, index).split("\n").length}`;
    return code === undefined ? [] : [{ place, code, isPage: kind === "ts page", prints }];
  });
}
