import { join } from "node:path";
import type { Infra } from "./infra/index.ts";
import { serviceKeyFiles } from "./service-keys.ts";
import type { Settings } from "./settings.ts";

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

/** The environment the services run in: the starter's own, and where everything is. */
export function serviceEnvironment(
  { split, ports, env, dataDir, adminUsername }: Settings,
  infra: Pick<Infra, "mongodbUri" | "redisUrl" | "natsUrl">,
  secrets: { readonly tokenKeysSecret: string; readonly adminPassword: string },
): NodeJS.ProcessEnv {
  const neighbours = {
    USERS_URL: `http://127.0.0.1:${ports.USERS_PORT}`,
    INVENTORY_URL: `http://127.0.0.1:${ports.INVENTORY_PORT}`,
    ORDERS_URL: `http://127.0.0.1:${ports.ORDERS_PORT}`,
  };
  const given = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => value !== "" && name !== retiredSecret),
  );
  return {
    // Halves the processor time of the next start.
    NODE_COMPILE_CACHE: join(dataDir, "compile-cache"),
    ...(split ? neighbours : {}),
    ...given,
    ...Object.fromEntries(Object.entries(ports).map(([variable, port]) => [variable, String(port)])),
    MONGODB_URI: infra.mongodbUri,
    REDIS_URL: infra.redisUrl,
    NATS_URL: infra.natsUrl,
    TOKEN_KEYS_SECRET: secrets.tokenKeysSecret,
    ADMIN_USERNAME: adminUsername,
    ADMIN_PASSWORD: secrets.adminPassword,
  };
}
