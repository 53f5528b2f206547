import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apiPage } from "./api-page.ts";
import { grafanaDashboard } from "./monitoring/grafana-dashboard.ts";
import { prometheusConfig } from "./monitoring/prometheus-config.ts";
import { prometheusRules } from "./monitoring/prometheus-rules.ts";
import { configurationPage, environmentExample } from "./settings-documents.ts";
import { topologyDocuments } from "./topology-documents.ts";

/** The text of each generated document, by its path from the root of the repository. */
export async function generateDocuments(): Promise<ReadonlyMap<string, string>> {
  const scratch = mkdtempSync(join(tmpdir(), "shop-documents-"));
  try {
    return new Map([
      ...topologyDocuments(),
      ["docs/configuration.md", configurationPage()],
      [".env.example", environmentExample()],
      ["docs/api.md", await apiPage(scratch)],
      ["deploy/prometheus/rules.yaml", prometheusRules()],
      ["deploy/prometheus/prometheus.yaml", prometheusConfig()],
      ["deploy/grafana/shop.json", grafanaDashboard()],
    ]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
