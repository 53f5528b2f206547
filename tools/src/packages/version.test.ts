import { expect, test } from "vitest";
import { isLater, releaseChangelog, setVersion } from "./version.ts";

test("a package and its dependencies on ours get the version; other dependencies stay", () => {
  const manifest = {
    version: "0.1.0",
    dependencies: { "@shop/gen": "0.1.0", fastify: "5.12.8" },
    devDependencies: { "@shop/core": "0.1.0" },
  };
  setVersion(manifest, "0.2.0");
  expect(manifest).toEqual({
    version: "0.2.0",
    dependencies: { "@shop/gen": "0.2.0", fastify: "5.12.8" },
    devDependencies: { "@shop/core": "0.2.0" },
  });
});

const changelog = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A wheel.\n\n## [0.1.0]\n\n- A cart.\n";

test("the unreleased section becomes the version, with its date", () => {
  expect(releaseChangelog(changelog, "0.2.0", "2026-12-01")).toBe(
    "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- A wheel.\n\n## [0.1.0]\n\n- A cart.\n",
  );
});

test("a version is released once, and only with changes in the changelog", () => {
  const released = releaseChangelog(changelog, "0.2.0", "2026-12-01");
  expect(() => releaseChangelog(released, "0.3.0", "2026-12-02")).toThrow("nothing under Unreleased");
  expect(() => releaseChangelog(changelog, "0.1.0", "2026-12-02")).toThrow("has 0.1.0 already");
});

test.each([
  ["0.2.0", "0.1.9", true],
  ["0.10.0", "0.9.0", true],
  ["1.0.0", "0.99.99", true],
  ["0.2.0", "0.2.0", false],
  ["0.1.9", "0.2.0", false],
])("%s after %s: %s", (version, other, later) => {
  expect(isLater(version, other)).toBe(later);
});
