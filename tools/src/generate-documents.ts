import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateDocuments } from "./generated-documents.ts";
import { repositoryRoot } from "./repository-root.ts";

for (const [file, text] of await generateDocuments()) writeFileSync(join(repositoryRoot, file), text);
