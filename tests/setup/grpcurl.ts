import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { goProgram } from "@shop/tools/infra";
import { describe } from "vitest";

const grpcurl = await goProgram("github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4", {
  log: console.log,
  env: process.env,
}).catch((error: Error) => error);
// In CI tests that could not run have failed.
const mustRun = process.env.CI === "true";
if (grpcurl instanceof Error && !mustRun) console.log(`tests with grpcurl are skipped: ${grpcurl.message}`);

/** Tests that need grpcurl, which needs Go. */
export const describeGrpcurl = describe.skipIf(grpcurl instanceof Error && !mustRun);

/** The output of grpcurl; rejects with its error output. */
export async function runGrpcurl(...args: readonly string[]): Promise<string> {
  if (grpcurl instanceof Error) throw grpcurl;
  return await output(grpcurl, "-plaintext", ...args);
}

/** The output of a command, run in a folder without contracts; rejects with its error output. */
export async function output(command: string, ...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(command, args, { timeout: 20_000, cwd: tmpdir() })).stdout.trim();
}
