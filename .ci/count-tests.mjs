// Prints `<passed> <failed>` from vitest's JSON report and its exit status. These count as failures:
// no report, no test, a file that did not load, a test that was skipped, an error outside of any test.
import { readFileSync } from "node:fs";

const [, , reportFile = "", exitStatus = "1"] = process.argv;

function readReport() {
  try {
    return JSON.parse(readFileSync(reportFile, "utf8"));
  } catch {
    console.error("the test report is missing");
    return { testResults: [] };
  }
}

const { testResults } = readReport();
let passed = 0;
let failed = 0;
for (const { name, status, message, assertionResults } of testResults) {
  for (const test of assertionResults) {
    if (test.status === "passed") passed++;
    else failed++;
    if (!["passed", "failed"].includes(test.status)) console.error(`${test.status}: ${name}: ${test.fullName}`);
  }
  if (status === "failed" && !assertionResults.some((test) => test.status === "failed")) {
    failed++;
    console.error(`failed outside of its tests: ${name}: ${message}`);
  }
}
if (failed === 0 && (passed === 0 || exitStatus !== "0")) {
  failed = 1;
  console.error(passed === 0 ? "no test ran" : "all tests passed, but the run failed: an error outside of any test");
}
console.log(`${passed} ${failed}`);
