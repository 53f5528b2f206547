import { BlockList, isIP } from "node:net";
import { availableParallelism } from "node:os";
import { z } from "zod";
import type { TrustsProxy } from "./rpc/client-address.ts";

/** The environment variables a module reads: a zod object whose keys are the variables' names. */
export type ConfigSchema<Config> = z.ZodType<Config>;

/** What the environment says is wrong, every variable at once. */
export class ConfigError extends Error {}

const integer = (from: number, to: number) => z.coerce.number().int().min(from).max(to);

/** Kinds of variables that several modules share. An empty string counts as absent: that is how shells unset. */
export const setting = {
  port: (fallback: number) => integer(0, 65_535).default(fallback).describe("TCP port"),
  integer: (fallback: number, from: number, to: number, unit: string) =>
    integer(from, to).default(fallback).describe(unit),
  text: (fallback: string) => z.string().default(fallback),
  optionalText: () => z.string().optional(),
  flag: (fallback: boolean) => z.stringbool().prefault(String(fallback)).describe("true or false"),
  /** One base URL or several, separated by commas: the replicas of one service. */
  urls: (fallback: string) =>
    z
      .string()
      .default(fallback)
      .transform((list) => list.split(",").map((url) => url.trim().replace(/\/+$/, "")))
      .pipe(z.array(z.url({ protocol: /^https?$/ })).min(1))
      .describe("base URLs, comma-separated"),
  /** Processes among which a process shares its work out. */
  workers: () =>
    z
      .union([z.literal("auto").transform(() => availableParallelism()), integer(1, 256)])
      .prefault("1")
      .describe("worker processes, 1 to 256, that share the ports; auto for one per core"),
  /** Proxies whose X-Forwarded-For counts: how many there are in a row, or the networks they are in. None by default. */
  trustedProxies: () =>
    z
      .string()
      .default("")
      .transform((text, context): TrustsProxy => {
        if (/^\d{1,2}$/.test(text)) return (_address, hop) => hop < Number(text);
        const networks = new BlockList();
        for (const network of text.split(",").map((part) => part.trim())) {
          if (network !== "" && !addNetwork(networks, network))
            context.addIssue({ code: "custom", message: `${network} is neither a count nor a network` });
        }
        return (address) => networks.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
      })
      .describe("a number of proxies, or networks such as 10.0.0.0/8, comma-separated"),
};

/** An address counts as a network of its own. False if it is neither. */
function addNetwork(networks: BlockList, network: string): boolean {
  const [address = "", prefix] = network.split("/");
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  if (version === 0 || (prefix !== undefined && !(/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))) return false;
  networks.addSubnet(address, Number(prefix ?? bits), version === 6 ? "ipv6" : "ipv4");
  return true;
}

/**
 * Reads several schemas from one environment. Throws a ConfigError that names every bad variable of every schema, with
 * what it should be.
 */
export function readConfig<Schemas extends Record<string, z.ZodType>>(
  schemas: Schemas,
  environment: NodeJS.ProcessEnv,
): { [Name in keyof Schemas]: z.output<Schemas[Name]> } {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const problems = new Set<string>();
  const config: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    const result = schema.safeParse(given);
    if (result.success) {
      config[name] = result.data;
      continue;
    }
    for (const issue of result.error.issues) {
      const variable = String(issue.path[0]);
      const unit = schema instanceof z.ZodObject ? (schema.shape[variable]?.description ?? "text") : "text";
      problems.add(`${variable} (${unit}): ${issue.message}`);
    }
  }
  if (problems.size > 0) throw new ConfigError([...problems].join("\n"));
  return config as { [Name in keyof Schemas]: z.output<Schemas[Name]> };
}
