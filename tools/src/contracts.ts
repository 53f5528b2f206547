import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type AnyDesc, createFileRegistry, type DescFile, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { getComments } from "@bufbuild/protoplugin";
import { outputOf } from "./check-run.ts";
import { repositoryRoot } from "./repository-root.ts";

/**
 * Every file below proto/ and vendor/proto/ with its comments, which the descriptors of generated code lack; buf writes an
 * image of them to the folder `scratch`.
 */
export async function readContracts(scratch: string): Promise<FileRegistry> {
  const image = join(scratch, "image.binpb");
  await outputOf("buf", "build", repositoryRoot, "--output", image);
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(image)));
}

/** The comment of an element as Markdown: consecutive lines become one paragraph; lists stay lists. */
export function commentOf(desc: Exclude<AnyDesc, DescFile>): string {
  const { leading = "" } = getComments(desc);
  return leading
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim().replaceAll(/\n(?! *[-*] )\s*/g, " "))
    .join("\n\n");
}
