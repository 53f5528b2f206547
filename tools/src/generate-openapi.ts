import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateOpenApi, openApiFile } from "./openapi.ts";
import { repositoryRoot } from "./repository-root.ts";

const scratch = mkdtempSync(join(tmpdir(), "shop-openapi-"));
try {
  writeFileSync(join(repositoryRoot, openApiFile), await generateOpenApi(scratch));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
