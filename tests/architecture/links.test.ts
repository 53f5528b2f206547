import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../../tools/src/repository-root.ts";
import { anchorsOf } from "./anchors.ts";

const documents = globSync("**/*.md", {
  cwd: repositoryRoot,
  exclude: (name) => ["node_modules", ".infra", ".data", "packed"].includes(name),
}).sort();

const read = (file: string) => readFileSync(join(repositoryRoot, file), "utf8");

/** Links to files or headings that do not exist. */
function brokenLinks(document: string, text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? document : join(dirname(document), path);
      if (file !== document && !existsSync(join(repositoryRoot, file))) return true;
      return (
        anchor !== undefined && file.endsWith(".md") && !anchorsOf(file === document ? text : read(file)).has(anchor)
      );
    });
}

test.each(documents)("the links of %s lead to files and headings that exist", (document) => {
  expect(brokenLinks(document, read(document))).toEqual([]);
});

test("a link to a file or a heading that does not exist is found", () => {
  const text = "# A heading\n[a](#a-heading) [b](#no-heading) [c](gone.md) [d](README.md#gone) [e](https://a.example)";
  expect(brokenLinks("a.md", text)).toEqual(["#no-heading", "gone.md", "README.md#gone"]);
});
