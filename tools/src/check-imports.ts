import { checkImports, importRules } from "./check-import-rules.ts";
import { repositoryRoot } from "./repository-root.ts";

/** Far below the real number: a run that finds fewer has not read the repository (with TypeScript 7 it finds none). */
const fewestModules = 100;

const { modules, forbidden } = await checkImports(repositoryRoot);
const { forbidden: rules } = await importRules();

for (const [rule, imports] of Map.groupBy(forbidden, (violation) => violation.rule)) {
  console.log(`${rule}: ${rules.find(({ name }) => name === rule)?.comment}`);
  for (const { from, to } of imports) console.log(`  ${from} -> ${to}`);
}
if (modules.length < fewestModules)
  console.log(`only ${modules.length} modules were found: the rules were not checked`);
console.log(`${modules.length} modules, ${rules.length} rules, ${forbidden.length} forbidden imports`);
process.exitCode = forbidden.length > 0 || modules.length < fewestModules ? 1 : 0;
