import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A program that a README shows. */
export interface ReadmeExample {
  /** Where it stands, as `path:line`. */
  readonly place: string;
  readonly code: string;
  /** Whether it is for a page in a browser. */
  readonly isPage: boolean;
  /** What it prints, as the block of text after it says. */
  readonly prints: string;
}

const repositoryRoot = join(import.meta.dirname, "../..");
const block = /^```(?<kind>ts|ts page|sh)\n(?<code>.*?)^```\n(?:\n```text\n(?<prints>.*?)^```\n)?/gms;
const heredoc = /^npx node --input-type=module-typescript <<'EOF'\n(?<code>.*?)^EOF$/ms;

/** The TypeScript of a README: its `ts` blocks, and what its `sh` blocks hand to Node. */
export function readmeExamples(path: string): readonly ReadmeExample[] {
  const readme = readFileSync(join(repositoryRoot, path), "utf8");
  return [...readme.matchAll(block)].flatMap(({ index, groups }) => {
    const { kind, prints = "" } = groups!;
    const code = kind === "sh" ? heredoc.exec(groups!.code!)?.groups?.code : groups!.code;
    const place = `${path}:${readme.slice(0, index).split("\n").length}`;
    return code === undefined ? [] : [{ place, code, isPage: kind === "ts page", prints }];
  });
}
