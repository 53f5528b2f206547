import { BlockList, isIP } from "node:net";
import { availableParallelism } from "node:os";
import { z } from "zod";

/** The environment variables that a module reads: a zod object whose keys are the names of the variables. */
export type ConfigSchema<Config> = z.ZodType<Config>;

/** Reports every invalid variable of the environment, one per line. */
export class ConfigError extends Error {}

/** Decimal digits only: `0x10`, `1e3` and blanks are refused. */
const integer = (from: number, to: number) =>
  z
    .string()
    .refine((text) => /^\d{1,15}$/.test(text) && Number(text) >= from && Number(text) <= to, {
      error: ({ input }) => `"${input}" is not an integer of ${from} to ${to}`,
    })
    .transform(Number);

/**
 * Kinds of variables that modules share. Each describes its unit; `.meta({ meaning })` adds the sentences that
 * docs/configuration.md and .env.example are generated from, and `.meta({ formerName })` the name of a renamed variable, which
 * still works.
 */
export const setting = {
  port: (fallback: number) => integer(0, 65_535).prefault(String(fallback)).describe("TCP port"),
  optionalPort: () => integer(1, 65_535).optional().describe("TCP port"),
  /** An IP address or host name to listen on, without scheme, brackets and port. */
  host: (fallback: string) =>
    z
      .string()
      .refine(isHost, {
        error: ({ input }) => `"${input}" is neither an IP address nor the name of a host (without scheme and port)`,
      })
      .default(fallback)
      .describe("IP address or name of a host"),
  /** Origins of web pages, as browsers send them in `Origin`, comma-separated, or `*`. */
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
      .enum(["debug", "info", "warn", "error"], { error: ({ input }) => `"${input}" is not a log level` })
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
  /** Number of worker processes. */
  workers: () =>
    z
      .union(
        [z.literal("auto").transform(() => availableParallelism()), integer(1, 256)],
        "has to be auto, or a number from 1 to 256",
      )
      .prefault("1")
      .describe("worker processes, 1 to 256, or auto"),
  /** Proxies whose X-Forwarded-For is trusted: the number of consecutive ones, or their networks. None by default. */
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
  // Four numbers that are not an address are not a host name either.
  return /^(?!.*\.\d+$)(?!\d+$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(text);
}

/** Whether a URL is of the form `http://host:port`, optionally with a trailing slash. */
export function isBaseUrl(url: string): boolean {
  return URL.canParse(url) && /^http:\/\/[^/?#@\s]+\/?$/.test(url);
}

/** Schemes of URLs that no page has as origin. Schemes of apps and extensions are arbitrary, so all others are allowed. */
const notOfPages = /^(ftp|wss?|file|data|blob|javascript|mailto|about):$/;

/** Why no browser sends this as `Origin` (RFC 6454 6.2); undefined if one may. */
function originProblem(origin: string): string | undefined {
  if (origin === "*") return undefined;
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(origin)) return "has no scheme: an origin is of the form https://host:port";
  if (!URL.canParse(origin)) return "is not an origin: an origin is of the form https://host:port";
  const url = new URL(origin);
  // For schemes of apps and extensions, URL.origin is "null".
  const sent = /^https?:$/.test(url.protocol) ? url.origin : `${url.protocol}//${url.host}`;
  if (notOfPages.test(url.protocol)) return "matches no page: pages are loaded over https or http";
  if (url.host === "" || url.host.includes("*")) return "matches no page: the host must be given in full";
  if (/^\.|\.\./.test(url.hostname)) return "matches no page: part of the host name is missing between two dots";
  return origin === sent ? undefined : `matches no page: write ${sent}`;
}

/** Adds a network, or a single address. False if the text is neither. */
function addNetwork(networks: BlockList, network: string): boolean {
  const [address = "", prefix] = network.split("/");
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  if (version === 0 || (prefix !== undefined && !(/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))) return false;
  networks.addSubnet(address, Number(prefix ?? bits), version === 6 ? "ipv6" : "ipv4");
  return true;
}

/**
 * Reads several schemas from one environment. An empty variable counts as absent, since that is how shells unset one. A renamed
 * variable is also read under its former name, unless it is set under the current one.
 *
 * @throws ConfigError naming every invalid variable of every schema, with its unit
 */
export function readConfig<Schemas extends Record<string, z.ZodType>>(
  schemas: Schemas,
  environment: NodeJS.ProcessEnv,
): { [Name in keyof Schemas]: z.output<Schemas[Name]> } {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const problems = new Set<string>();
  const config: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    const result = schema.safeParse({ ...valuesUnderFormerNames(schema, given), ...given });
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

function valuesUnderFormerNames(schema: z.ZodType, given: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (!(schema instanceof z.ZodObject)) return {};
  const renamed = Object.entries(schema.shape as Readonly<Record<string, z.ZodType>>).flatMap(([name, variable]) => {
    const value = given[String(variable.meta()?.formerName)];
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(renamed);
}
