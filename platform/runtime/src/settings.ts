import { type ConfigSchema, readConfig } from "@shop/core";
import { type PlatformConfig, platformConfig } from "./platform-config.ts";
import type { ServiceModule } from "./service-module.ts";

/** What the environment says to the platform and to the modules of a process. */
export interface Settings {
  readonly platform: PlatformConfig;
  of(module: ServiceModule): unknown;
}

/** Throws a ConfigError that names every bad variable, whosever it is. */
export function readSettings(modules: readonly ServiceModule[], environment: NodeJS.ProcessEnv): Settings {
  const schemas: Record<string, ConfigSchema<unknown>> = { platform: platformConfig };
  for (const { name, config } of modules) schemas[`module ${name}`] = config;
  const read = readConfig(schemas, environment);
  return { platform: read.platform as PlatformConfig, of: ({ name }) => read[`module ${name}`] };
}
