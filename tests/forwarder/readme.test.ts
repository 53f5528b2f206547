import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { choosePorts } from "@shop/tools/infra";
import { expect, onTestFinished, test } from "vitest";
import { compileNotes, startNativeGrpcService } from "./native-grpc-service.ts";

const root = join(import.meta.dirname, "../..");

test("the example in gateway/README.md works, in front of a gRPC server", { timeout: 60_000 }, async () => {
  const scratch = mkdtempSync(join(tmpdir(), "shop-readme-"));
  onTestFinished(() => rmSync(scratch, { recursive: true, force: true }));
  const service = await startNativeGrpcService(compileNotes(join(scratch, "service.binpb")));
  onTestFinished(() => service.stop());
  const { forwarder } = await choosePorts(join(scratch, "ports.json"), { forwarder: 1 });

  const [, example] = /```sh\n(.*?)```/s.exec(readFileSync(join(root, "gateway/README.md"), "utf8"))!;
  // On another port than in the text, which may be in use.
  const script = example!
    .replaceAll("50051", String(service.port))
    .replaceAll("8090", String(forwarder![0]))
    .replaceAll("notes.binpb", join(scratch, "notes.binpb"));
  const { stdout } = await promisify(execFile)("bash", ["-c", script], { cwd: root, timeout: 55_000 });
  expect(stdout.match(/"name": ?"notes\/7"/g)).toHaveLength(3);
  expect(stdout.match(/"text": ?"read me"/g)).toHaveLength(3);
});
