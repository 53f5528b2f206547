import { BlockList, isIP } from "node:net";
import { availableParallelism } from "node:os";
import { z } from "zod";

/** The environment variables a module reads: a zod object whose keys are the variables' names. */
export type ConfigSchema<Config> = z.ZodType<Config>;

/** What the environment says is wrong, every variable at once. */
export class ConfigError extends Error {}

/** Decimal digits and nothing else: `0x10`, `1e3` or blanks are mistakes. */
const integer = (from: number, to: number) =>
  z
    .string()
    .refine((text) => /^\d{1,15}$/.test(text) && Number(text) >= from && Number(text) <= to, {
      error: ({ input }) => `"${input}" is not an integer of ${from} to ${to}`,
    })
    .transform(Number);

/**
 * Kinds of variables that several modules share. An empty string counts as absent: that is how shells unset. Each describes its
 * unit; `.meta({ meaning })` adds the sentences that docs/configuration.md and .env.example are generated from.
 */
export const setting = {
  port: (fallback: number) => integer(0, 65_535).prefault(String(fallback)).describe("TCP port"),
  optionalPort: () => integer(1, 65_535).optional().describe("TCP port"),
  /** An IP address or the name of a host to listen on, without scheme, brackets and port. */
  host: (fallback: string) =>
    z
      .string()
      .refine(isHost, {
        error: ({ input }) => `"${input}" is neither an IP address nor the name of a host (without scheme and port)`,
      })
      .default(fallback)
      .describe("IP address or name of a host"),
  /** Origins of web pages, as browsers send them in `Origin`, comma-separated; or `*`. */
  origins: () =>
    z
      .string()
      .default("")
      .transform((list, context) => {
        const origins = list
          .split(",")
          .map((origin) => origin.trim())
          .filter((origin) => origin !== "");
        for (const origin of origins) {
          const problem = originProblem(origin);
          if (problem !== undefined) context.addIssue({ code: "custom", message: `"${origin}" ${problem}` });
        }
        return origins;
      })
      .describe("origins, comma-separated, or *"),
  integer: (fallback: number, from: number, to: number, unit: string) =>
    integer(from, to)
      .prefault(String(fallback))
      .meta({ description: unit, range: `${from} to ${to}` }),
  text: (fallback: string) => z.string().default(fallback),
  logLevel: () =>
    z
      .enum(["debug", "info", "warn", "error"], { error: ({ input }) => `"${input}" is no log level` })
      .default("info")
      .describe("debug, info, warn or error"),
  optionalText: () => z.string().optional(),
  flag: (fallback: boolean) =>
    z
      .stringbool({ error: ({ input }) => `"${input}" is neither true nor false` })
      .prefault(String(fallback))
      .describe("true or false"),
  /** One base URL or several, separated by commas: the replicas of one service. */
  urls: (fallback: string) =>
    z
      .string()
      .default(fallback)
      .transform((list, context) => {
        const urls = list.split(",").map((url) => url.trim());
        for (const url of urls) {
          if (!isBaseUrl(url))
            context.addIssue({ code: "custom", message: `"${url}" is not of the form http://host:port` });
        }
        return urls.map((url) => url.replace(/\/$/, ""));
      })
      .describe("base URLs, http://host:port, comma-separated"),
  /** Processes among which a process shares its work out. */
  workers: () =>
    z
      .union(
        [z.literal("auto").transform(() => availableParallelism()), integer(1, 256)],
        "has to be auto, or a number from 1 to 256",
      )
      .prefault("1")
      .describe("worker processes, 1 to 256, or auto"),
  /** Proxies whose X-Forwarded-For counts: how many there are in a row, or the networks they are in. None by default. */
  trustedProxies: () =>
    z
      .string()
      .default("")
      .transform((text, context): ((address: string, hop: number) => boolean) => {
        if (/^\d{1,2}$/.test(text)) return (_address, hop) => hop < Number(text);
        const networks = new BlockList();
        for (const network of text.split(",").map((part) => part.trim())) {
          if (network !== "" && !addNetwork(networks, network))
            context.addIssue({ code: "custom", message: `${network} is neither a count nor a network` });
        }
        return (address) => networks.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
      })
      .describe("number of proxies, or networks such as 10.0.0.0/8, comma-separated"),
};

function isHost(text: string): boolean {
  if (isIP(text) !== 0) return true;
  // Four numbers that are no address are no name either.
  return /^(?!.*\.\d+$)(?!\d+$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(text);
}

/** Whether it is `http://host:port`, with a slash at the end at most. */
export function isBaseUrl(url: string): boolean {
  return URL.canParse(url) && /^http:\/\/[^/?#@\s]+\/?$/.test(url);
}

/** Schemes that URLs have and origins of pages do not; those of apps and extensions are their makers' own. */
const notOfPages = /^(ftp|wss?|file|data|blob|javascript|mailto|about):$/;

/** Why no browser sends this as `Origin` (RFC 6454 6.2); undefined when one may. */
function originProblem(origin: string): string | undefined {
  if (origin === "*") return undefined;
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(origin)) return "has no scheme: an origin is of the form https://host:port";
  if (!URL.canParse(origin)) return "is no origin: one is of the form https://host:port";
  const url = new URL(origin);
  // Those of apps and extensions have an origin that URL calls "null".
  const sent = /^https?:$/.test(url.protocol) ? url.origin : `${url.protocol}//${url.host}`;
  if (notOfPages.test(url.protocol)) return "matches no page: pages come by https or http";
  if (url.host === "" || url.host.includes("*")) return "matches no page: a host is named in full";
  if (/^\.|\.\./.test(url.hostname)) return "matches no page: part of the host's name is missing between two dots";
  return origin === sent ? undefined : `matches no page: write ${sent}`;
}

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
