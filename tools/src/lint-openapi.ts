import { createConfig, lintFromString } from "@redocly/openapi-core";
import type { CheckResult } from "./check-run.ts";

/** Lints a description by the recommended rules of Redocly; warnings count. */
export async function lintOpenApi(source: string): Promise<CheckResult> {
  const config = await createConfig({
    extends: ["recommended"],
    // The rule treats every part of an allOf as the whole; the replay of the examples finds unknown fields.
    rules: { "no-invalid-media-type-examples": { severity: "error", allowAdditionalProperties: true } },
  });
  const problems = await lintFromString({ source, absoluteRef: "/openapi.json", config });
  const output = problems.map(
    ({ ruleId, message, location }) => `${ruleId} at ${location[0]?.pointer ?? "?"}: ${message}`,
  );
  return { ok: problems.length === 0, output: output.join("\n") };
}
