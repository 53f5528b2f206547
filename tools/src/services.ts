import { join } from "node:path";
import type { Infra } from "./infra/index.ts";
import { serviceKeyFiles } from "./service-keys.ts";
import type { Settings } from "./settings.ts";
import { shopAccounts } from "./shop-accounts.ts";

/** A process of the shop. */
export interface Service {
  readonly name: string;
  /** The entry file, relative to the repository. */
  readonly script: string;
  readonly ports: readonly number[];
  /** What its environment has beside what all share. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** The shop's processes in the shape that was asked for: one that hosts everything, or one each. */
export function servicesOf({ split, ports, env, dataDir }: Settings): readonly Service[] {
  const { publicFile, privateFile } = serviceKeyFiles(dataDir);
  const keysOf = (...names: ("users" | "inventory" | "orders" | "gateway")[]) => ({
    SERVICE_KEY_FILES: names.map(privateFile).join(),
    PUBLIC_KEYS_FILE: publicFile,
  });
  if (!split) {
    const script = "services/all-in-one/src/main.ts";
    const environment = keysOf("users", "inventory", "orders", "gateway");
    return [{ name: "all-in-one", script, ports: Object.values(ports), environment }];
  }
  const services = [
    { name: "users", script: "services/users/src/main.ts", ports: [ports.USERS_PORT] },
    { name: "inventory", script: "services/inventory/src/main.ts", ports: [ports.INVENTORY_PORT] },
    { name: "orders", script: "services/orders/src/main.ts", ports: [ports.ORDERS_PORT] },
    { name: "gateway", script: "gateway/src/main.ts", ports: [ports.GATEWAY_PORT] },
  ] as const;
  // Each tells its own metrics: one port after the other.
  const metricsPort = env.METRICS_PORT;
  return services.map((service, index) => ({
    ...service,
    environment: {
      ...keysOf(service.name),
      ...(metricsPort && { METRICS_PORT: String(Number(metricsPort) + index) }),
    },
  }));
}

/** What services of earlier versions proved themselves with; none is given it any more. */
export const retiredSecret = "INTERNAL_SECRET";

/** What only some processes may know, by the variable that they read it from. */
export interface ServiceSecrets {
  readonly TOKEN_KEYS_SECRET: string;
  readonly ADMIN_USERNAME: string;
  readonly ADMIN_PASSWORD: string;
}

/** Which of the secrets a process gets, by its name. What is not listed here gets none. */
const secretsOf: Readonly<Record<string, readonly (keyof ServiceSecrets)[]>> = {
  users: ["TOKEN_KEYS_SECRET", "ADMIN_USERNAME", "ADMIN_PASSWORD"],
  "all-in-one": ["TOKEN_KEYS_SECRET", "ADMIN_USERNAME", "ADMIN_PASSWORD"],
};

/** Variables of the starter that no process inherits: each gets its own, or none. */
const notInherited = ["MONGODB_URI", "REDIS_URL", "NATS_URL", retiredSecret, ...secretsOf["all-in-one"]!];
/** What a secret of somebody else looks like, by its name or as credentials in a URL. */
const secretName = /(SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|CREDENTIALS?|KEY|SEED)$/i;
const urlWithPassword = /:\/\/[^/\s]*:[^/\s]*@/;

/**
 * The environment a process of the shop runs in: the starter's own without any secret, where everything is, and the secrets
 * and credentials of this process.
 */
export function serviceEnvironment(
  service: Service,
  { split, ports, host, env, dataDir }: Settings,
  infra: Pick<Infra, "environmentOf">,
  secrets: ServiceSecrets,
): NodeJS.ProcessEnv {
  const neighbours = {
    USERS_URL: `http://${host}:${ports.USERS_PORT}`,
    INVENTORY_URL: `http://${host}:${ports.INVENTORY_PORT}`,
    ORDERS_URL: `http://${host}:${ports.ORDERS_PORT}`,
  };
  const inherited = Object.entries(env).filter(
    ([name, value = ""]) =>
      value !== "" && !notInherited.includes(name) && !secretName.test(name) && !urlWithPassword.test(value),
  );
  const hasAccount = shopAccounts.some(({ name }) => name === service.name);
  return {
    // Halves the processor time of the next start.
    NODE_COMPILE_CACHE: join(dataDir, "compile-cache"),
    ...(split ? neighbours : {}),
    ...Object.fromEntries(inherited),
    ...Object.fromEntries(Object.entries(ports).map(([variable, port]) => [variable, String(port)])),
    ...(hasAccount ? infra.environmentOf(service.name) : {}),
    ...Object.fromEntries((secretsOf[service.name] ?? []).map((name) => [name, secrets[name]])),
    ...service.environment,
  };
}
