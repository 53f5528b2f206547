import { join } from "node:path";
import { packPackages } from "./packages/pack-packages.ts";
import { repositoryRoot } from "./repository-root.ts";
import { showHelp } from "./show-help.ts";

// `npm run pack`: writes a tarball of each published package to packed/.
const args = process.argv.slice(2);
const usage = "npm run pack: writes a tarball of each published package to packed/";
showHelp(args, usage);
if (args.length > 0) {
  console.error(usage);
  process.exit(2);
}
const folder = join(repositoryRoot, "packed");
for (const { name, tarball } of await packPackages(folder)) console.log(`${name}: ${tarball}`);
