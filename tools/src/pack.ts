import { join } from "node:path";
import { packPackages } from "./packages/pack-packages.ts";
import { repositoryRoot } from "./repository-root.ts";

// `npm run pack`: writes a tarball of each published package to packed/.
const folder = join(repositoryRoot, "packed");
for (const { name, tarball } of await packPackages(folder)) console.log(`${name}: ${tarball}`);
