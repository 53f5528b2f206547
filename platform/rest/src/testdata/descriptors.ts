import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  createFileRegistry,
  type DescMessage,
  type DescService,
  type FileRegistry,
  fromBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/**
 * Compiles the protos of this folder with buf, as they reach a program that serves any descriptor set: without generated code,
 * and with options as unknown fields only.
 */
function testRegistry(): FileRegistry {
  const root = fileURLToPath(new URL("../../../..", import.meta.url));
  const config = {
    version: "v2",
    modules: [{ path: "platform/rest/src/testdata" }, { path: "vendor/proto" }],
  };
  const image = execFileSync(
    "node_modules/.bin/buf",
    ["build", "--config", JSON.stringify(config), "--output", "-#format=binpb"],
    { cwd: root, maxBuffer: 64 * 1024 * 1024 },
  );
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
}

const registry = testRegistry();

/** A service of the test protos. */
export function testService(typeName: string): DescService {
  const service = registry.getService(typeName);
  if (service === undefined) throw new Error(`no service ${typeName} in testdata`);
  return service;
}

/** A message of the test protos. */
export function testMessage(typeName: string): DescMessage {
  const message = registry.getMessage(typeName);
  if (message === undefined) throw new Error(`no message ${typeName} in testdata`);
  return message;
}
