import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

/** Parses the repository's own files that match one of the patterns (relative to the root), without tests by default. */
export function sourceFiles(patterns: readonly string[], { tests = false } = {}): ts.SourceFile[] {
  return globSync([...patterns], { cwd: repositoryRoot, exclude: (name) => name === "node_modules" })
    .filter((file) => tests || !/\.test\.ts$|\/testing\.ts$|\/testing\/|\/testdata\//.test(file))
    .sort()
    .map((file) => parse(file, readFileSync(join(repositoryRoot, file), "utf8")));
}

/** Parses source text; nodes know their parents. */
export function parse(file: string, text: string): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
}

/** A node and every node below it. */
export function nodesOf(node: ts.Node): ts.Node[] {
  const nodes = [node];
  // The iteration includes nodes that are appended during it: each node appends its children.
  for (const next of nodes) ts.forEachChild(next, (child) => void nodes.push(child));
  return nodes;
}

/** The position of a node, as `path:line`. */
export function placeOf(node: ts.Node): string {
  const file = node.getSourceFile();
  return `${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}
