import { readFileSync } from "node:fs";
import { createFileRegistry, type DescService, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { isBaseUrl, setting } from "@shop/core";
import { createRestRoutes as checkRestRoutes } from "@shop/rest";
import { z } from "zod";

/** The settings of the forwarder. */
export const forwarderConfig = z
  .object({
    LISTEN_HOST: setting.host("127.0.0.1"),
    LISTEN_PORT: setting.port(8080),
    UPSTREAM_URL: z
      .string()
      .refine(isBaseUrl, "not of the form http://host:port")
      .describe("base URL of the services: http://host:port"),
    DESCRIPTOR_SET: z.string().transform(readDescriptorSet).describe("path of a file written by `buf build`"),
    SERVICES: z
      .string()
      .transform((list) => list.split(",").map((name) => name.trim()))
      .describe("full names of services, comma-separated"),
    READ_MAX_BYTES: setting.integer(1024 * 1024, 1, 2 ** 31 - 1, "bytes per message"),
    JSON_NAMES: z
      .enum(["proto", "lowerCamelCase"])
      .default("proto")
      .describe("field names in REST answers: proto, or lowerCamelCase"),
    REFLECTION: setting.flag(true).describe("whether gRPC reflection is served: true or false"),
    LOG_LEVEL: setting.logLevel(),
  })
  .refine((config) => problemOf(config) === undefined, {
    path: ["SERVICES"],
    error: ({ input }) => problemOf(input as ServicesOfSet),
    // Checked even if other variables are invalid.
    when: ({ value }) => {
      const { DESCRIPTOR_SET, SERVICES } = value as Partial<ServicesOfSet>;
      return DESCRIPTOR_SET?.kind === "registry" && Array.isArray(SERVICES);
    },
  });

interface ServicesOfSet {
  readonly DESCRIPTOR_SET: FileRegistry;
  readonly SERVICES: readonly string[];
}

function problemOf({ DESCRIPTOR_SET, SERVICES }: ServicesOfSet): string | undefined {
  try {
    checkRestRoutes(servicesOf(DESCRIPTOR_SET, SERVICES));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Looks services up by name.
 *
 * @throws Error listing the unknown names, and the existing ones
 */
export function servicesOf(registry: FileRegistry, names: readonly string[]): DescService[] {
  const unknown = names.filter((name) => registry.getService(name) === undefined);
  if (unknown.length > 0) {
    const known = [...registry].flatMap((desc) => (desc.kind === "service" ? [desc.typeName] : []));
    throw new Error(`DESCRIPTOR_SET has no ${unknown.join(", ")}; it has ${known.join(", ") || "no service"}`);
  }
  return names.map((name) => registry.getService(name)!);
}

function readDescriptorSet(path: string, context: z.RefinementCtx): FileRegistry {
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(path)));
  } catch (error) {
    context.addIssue({ code: "custom", message: `${path}: ${(error as Error).message}` });
    return z.NEVER;
  }
}
