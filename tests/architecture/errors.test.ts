import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { httpStatus } from "@shop/rest";
import ts from "typescript";
import { expect, test } from "vitest";
import { DomainError, type ErrorKind } from "../../platform/core/src/errors.ts";
import { toConnectError } from "../../platform/rpc-server/src/pipeline/errors.ts";
import { repositoryRoot } from "../../tools/src/repository-root.ts";
import { nodesOf, parse, placeOf, sourceFiles } from "./source-files.ts";

/** The errors that the source can throw, as `REASON kind`; for a reason that is not a literal, its place. */
function thrownBy(files: readonly ts.SourceFile[]): string[] {
  return files
    .flatMap(nodesOf)
    .filter(ts.isNewExpression)
    .filter(({ expression }) => expression.getText() === "DomainError")
    .map((made) => {
      const [kind, reason] = made.arguments ?? [];
      return kind !== undefined && reason !== undefined && ts.isStringLiteral(kind) && ts.isStringLiteral(reason)
        ? `${reason.text} ${kind.text}`
        : `not a literal at ${placeOf(made)}`;
    });
}

/** Reasons that are sent without a DomainError: `reason: "UPPER_SNAKE"` anywhere. */
function sentBy(files: readonly ts.SourceFile[]): string[] {
  return files
    .flatMap(nodesOf)
    .filter(ts.isPropertyAssignment)
    .filter(({ name }) => name.getText() === "reason")
    .flatMap(({ initializer }) => (ts.isStringLiteral(initializer) ? [initializer.text] : []))
    .filter((reason) => /^[A-Z][A-Z0-9_]+$/.test(reason));
}

/** The rows of the table of reasons, by reason. */
function documented(): { reason: string; kind: string; http: string; grpc: string; when: string; todo: string }[] {
  return readFileSync(join(repositoryRoot, "docs/errors.md"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => {
      const [, reason = "", kind = "", http = "", grpc = "", when = "", todo = ""] = line
        .split("|")
        .map((c) => c.trim());
      return { reason: reason.replaceAll("`", ""), kind, http, grpc, when, todo };
    });
}

const files = sourceFiles(["{platform/*,services/*,gateway}/src/**/*.ts"]);
const rows = documented();

test("docs/errors.md lists every reason that the source can throw, with its kind, and no other", () => {
  const thrown = thrownBy(files);
  expect(thrown.length).toBeGreaterThan(10);
  expect(rows.map(({ reason, kind }) => `${reason} ${kind}`)).toEqual([...new Set(thrown)].toSorted());
});

test("docs/errors.md lists every reason that is sent without a DomainError", () => {
  expect(rows.map(({ reason }) => reason)).toEqual(expect.arrayContaining(sentBy(files)));
});

test.each(rows)("$reason is answered as docs/errors.md says", ({ reason, kind, http, grpc, when, todo }) => {
  const error = toConnectError(new DomainError(kind as ErrorKind, reason, "a message"), "shop.test.v1");
  const code = Code[error.code].replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
  expect({ http, grpc }).toEqual({ http: String(httpStatus(error)), grpc: code });
  expect(when).not.toBe("");
  expect(todo).not.toBe("");
});

/** Only services get these, and no service calls the public port. */
const neverPublic = ["INTERNAL_ONLY", "USER_REQUIRED"];

test("gen/openapi.json names every reason at the methods that answer with it", () => {
  const openApi = readFileSync(join(repositoryRoot, "gen/openapi.json"), "utf8");
  const named = new Set([...openApi.matchAll(/- `([A-Z_]+)`: /g)].map(([, reason]) => reason));
  const expected = rows.map(({ reason }) => reason).filter((reason) => !neverPublic.includes(reason));
  expect(expected.filter((reason) => !named.has(reason))).toEqual([]);
});

test("a reason that is not a literal is found", () => {
  const source = parse(
    "a.ts",
    'throw new DomainError("not_found", reasonOf(x), "text");\nnew DomainError("aborted", "BUSY", "");',
  );
  expect(thrownBy([source])).toEqual(["not a literal at a.ts:1", "BUSY aborted"]);
});
