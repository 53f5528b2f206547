import type { DescService } from "@bufbuild/protobuf";
import { setting } from "@shop/core";
import {
  defaultPorts,
  ownerOf,
  type PortVariable,
  portVariable,
  type ServiceName,
  services,
  type UrlVariable,
  urlVariable,
} from "./index.ts";

type UrlSetting = ReturnType<typeof setting.urls>;

/** The setting of a service's own port. */
export function portSetting<Name extends ServiceName>(
  name: Name,
): { readonly [Variable in PortVariable<Name>]: ReturnType<typeof setting.port> } {
  const port = setting.port(defaultPorts[portVariable(name)]).meta({
    meaning: `The port of ${name}, which must not be public.`,
  });
  return { [portVariable(name)]: port } as { [Variable in PortVariable<Name>]: typeof port };
}

/** The settings with the URLs of services. */
export function urlSettings<Name extends ServiceName>(
  ...names: readonly Name[]
): { readonly [Variable in UrlVariable<Name>]: UrlSetting } {
  const settings = names.map((name) => [
    urlVariable(name),
    setting.urls(`http://127.0.0.1:${services[name].port}`).meta({
      meaning: `The URLs of the replicas of ${name}, when it runs in another process.`,
    }),
  ]);
  return Object.fromEntries(settings) as { [Variable in UrlVariable<Name>]: UrlSetting };
}

/** The URLs of the services that a module calls or forwards to, from its configuration with their {@link urlSettings}. */
export function locate(
  config: Readonly<Record<string, unknown>>,
  ...called: readonly DescService[]
): { readonly name: ServiceName; readonly service: DescService; readonly urls: readonly string[] }[] {
  return called.map((service) => {
    const name = ownerOf(service.typeName);
    return { name, service, urls: config[urlVariable(name)] as readonly string[] };
  });
}
