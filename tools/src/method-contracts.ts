import { globSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { DescService } from "@bufbuild/protobuf";
import type { Example } from "@shop/openapi";
import { repositoryRoot } from "./repository-root.ts";

/** The parts of a file in a service's contract/ folder that tools read (tests/contract.ts has the complete type). */
export interface MethodContracts {
  /** From the root of the repository. */
  readonly file: string;
  readonly service: DescService;
  /** By the name of the method in code: `createProduct`. */
  readonly methods: Readonly<
    Record<
      string,
      {
        readonly cases: readonly { readonly answers?: unknown }[];
        readonly examples: readonly (Example & { readonly step: number })[];
      }
    >
  >;
}

/** All of them. */
export async function readMethodContracts(): Promise<readonly MethodContracts[]> {
  const files = globSync("services/*/contract/*.ts", { cwd: repositoryRoot }).toSorted();
  return await Promise.all(
    files.map(async (file) => {
      const { contract } = (await import(pathToFileURL(join(repositoryRoot, file)).href)) as {
        contract: Omit<MethodContracts, "file">;
      };
      return { file, ...contract };
    }),
  );
}
