import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { goProgram } from "@shop/tools/infra";
import { describe } from "vitest";

const grpcurl = await goProgram("github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4", {
  log: console.log,
  env: process.env,
}).catch((error: Error) => error);
// Where it counts, tests that could not run have failed.
const mustRun = process.env.CI === "true";
if (grpcurl instanceof Error && !mustRun) console.log(`grpcurl is left out: ${grpcurl.message}`);

/** Tests that need grpcurl, which machines without Go do not have. */
export const describeGrpcurl = describe.skipIf(grpcurl instanceof Error && !mustRun);

/** What grpcurl prints; rejects with what it says when it fails. */
export async function askGrpcurl(...args: readonly string[]): Promise<string> {
  if (grpcurl instanceof Error) throw grpcurl;
  return await output(grpcurl, "-plaintext", ...args);
}

/** What a command prints, run where no contract lies about; rejects with what it says when it fails. */
export async function output(command: string, ...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(command, args, { timeout: 20_000, cwd: tmpdir() })).stdout.trim();
}
