import { type ConfigSchema, readConfig } from "@shop/core";
import { type PlatformConfig, platformConfig } from "./platform-config.ts";
import type { ServiceModule } from "./service-module.ts";

/** The settings of the platform and of the modules of a process. */
export interface Settings {
  readonly platform: PlatformConfig;
  of(module: ServiceModule): unknown;
}

/**
 * Reads the settings of all modules.
 *
 * @throws ConfigError naming every invalid variable
 */
export function readSettings(modules: readonly ServiceModule[], environment: NodeJS.ProcessEnv): Settings {
  const schemas: Record<string, ConfigSchema<unknown>> = { platform: platformConfig };
  for (const { name, config } of modules) schemas[`module ${name}`] = config;
  const read = readConfig(schemas, environment);
  return { platform: read.platform as PlatformConfig, of: ({ name }) => read[`module ${name}`] };
}
