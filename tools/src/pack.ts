import { join } from "node:path";
import { packPackages } from "./packages/pack-packages.ts";
import { repositoryRoot } from "./repository-root.ts";

// `npm run pack`: a tarball of each package that is published, in packed/.
const folder = join(repositoryRoot, "packed");
for (const { name, tarball } of await packPackages(folder)) console.log(`${name}: ${tarball}`);
