import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

const read = (file: string) => readFileSync(join(repositoryRoot, file), "utf8");

test("compose.yaml passes every setting of traces from .env to all containers of the shop", () => {
  const { services } = parse(read("compose.yaml"), { merge: true }) as {
    services: Record<string, { profiles?: string[]; environment?: Record<string, string | null> }>;
  };
  const documented = read(".env.example").match(/(?<=^# )(OTEL_|\w*TRACES_)\w+(?==)/gm)!;
  expect(documented).toContain("OTEL_EXPORTER_OTLP_ENDPOINT");
  const ofTheShop = Object.entries(services).filter(([, { profiles }]) => profiles?.includes("shop"));
  expect(ofTheShop.length).toBeGreaterThan(1);
  for (const [name, { environment }] of ofTheShop) {
    // A variable without a value comes from the environment or .env.
    const passed = Object.entries(environment ?? {}).filter(([, value]) => value === null);
    expect(
      passed.map(([variable]) => variable),
      name,
    ).toEqual(expect.arrayContaining([...documented, "OTEL_EXPORTER_OTLP_HEADERS"]));
  }
});
