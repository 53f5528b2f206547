import { join } from "node:path";
import {
  entryFile,
  metricsOffset,
  type ProcessName,
  portVariable,
  processNames,
  type ServiceName,
  serviceNames,
  services,
  urlVariable,
} from "@shop/topology";
import type { Infra } from "./infra/index.ts";
import { repositoryRoot } from "./repository-root.ts";
import { serviceKeyFiles } from "./service-keys.ts";
import type { Settings } from "./settings.ts";
import { shopAccounts } from "./shop-accounts.ts";

/** A process of the shop. */
export interface Service {
  readonly name: string;
  /** The entry file, relative to the repository. */
  readonly script: string;
  readonly ports: readonly number[];
  /** Its own variables, besides the shared ones. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** The shop's processes in the selected topology: one that hosts everything, or one each. */
export function servicesOf({ split, ports, env, dataDir }: Settings): readonly Service[] {
  const { publicFile, privateFile } = serviceKeyFiles(dataDir);
  const keysOf = (...names: readonly ProcessName[]) => ({
    SERVICE_KEY_FILES: names.map(privateFile).join(),
    PUBLIC_KEYS_FILE: publicFile,
  });
  if (!split) {
    const script = "services/all-in-one/src/main.ts";
    const environment = keysOf(...processNames);
    return [{ name: "all-in-one", script, ports: Object.values(ports), environment }];
  }
  const metricsPort = env.METRICS_PORT;
  return processNames.map((name) => ({
    name,
    script: entryFile(name),
    ports: [ports[portVariable(name)]],
    environment: {
      ...keysOf(name),
      ...(metricsPort && { METRICS_PORT: String(Number(metricsPort) + metricsOffset(name)) }),
    },
  }));
}

/** The shared secret of earlier versions, which no process gets any more. */
export const retiredSecret = "INTERNAL_SECRET";

/** The secret variables of a process, by its name. */
function secretsOf(name: string): readonly string[] {
  const hosted = name === "all-in-one" ? serviceNames : serviceNames.filter((service) => service === name);
  return hosted.flatMap((service) => services[service].secrets ?? []);
}

/** Variables of the starter that no process inherits: each gets its own, or none. */
const notInherited = ["MONGODB_URI", "REDIS_URL", "NATS_URL", retiredSecret, ...secretsOf("all-in-one")];
/** Matches other secrets, by name or as credentials in a URL. */
const secretName = /(SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|CREDENTIALS?|KEY|SEED)$/i;
const urlWithPassword = /:\/\/[^/\s]*:[^/\s]*@/;
/** OpenTelemetry's settings, which are for every process: the headers, keys and URLs for its receiver, too. */
const forEveryProcess = /^OTEL_/;

/**
 * The environment of a process of the shop: the starter's own without the shop's and other secrets, the URLs, and the secrets
 * and credentials of this process. `generated` has secrets that are not from the environment, by variable.
 */
export function serviceEnvironment(
  service: Service,
  { split, ports, host, env }: Settings,
  infra: Pick<Infra, "environmentOf">,
  generated: Readonly<Record<string, string>>,
): NodeJS.ProcessEnv {
  const urlOf = (name: ServiceName) => `http://${host}:${ports[portVariable(name)]}`;
  const urls = Object.fromEntries(serviceNames.map((name) => [urlVariable(name), urlOf(name)]));
  const isSecret = (name: string, value: string) =>
    notInherited.includes(name) || secretName.test(name) || urlWithPassword.test(value);
  const inherited = Object.entries(env).filter(
    ([name, value = ""]) => value !== "" && (forEveryProcess.test(name) || !isSecret(name, value)),
  );
  const hasAccount = shopAccounts.some(({ name }) => name === service.name);
  return {
    // Halves the processor time of a start, on new data too. Without it the code that strips types stays in memory: 16 MiB.
    NODE_COMPILE_CACHE: join(repositoryRoot, "node_modules/.cache/node"),
    // glibc keeps a heap for each of many threads: with two of them a process at rest takes up to 16 MiB less.
    MALLOC_ARENA_MAX: "2",
    ...(split ? urls : {}),
    ...Object.fromEntries(inherited),
    ...Object.fromEntries(Object.entries(ports).map(([variable, port]) => [variable, String(port)])),
    ...(hasAccount ? infra.environmentOf(service.name) : {}),
    ...Object.fromEntries(secretsOf(service.name).map((name) => [name, generated[name] ?? env[name]])),
    ...service.environment,
  };
}
