import type { DescMessage, DescService, Registry } from "@bufbuild/protobuf";
import { contracts } from "@shop/gen/shop/contracts";
import { type ServiceName, serviceNames, services } from "./index.ts";

/** All messages of all services, for decoding any event. */
export const allContracts: Registry = contracts;

const found = [...contracts];

/** The proto services of a service's own package. @throws Error when it has none */
export function ownServices(name: ServiceName): readonly DescService[] {
  const own = found
    .filter((desc) => desc.kind === "service")
    .filter(({ file }) => file.proto.package === `shop.${name}.v1`);
  if (own.length === 0) throw new Error(`proto/shop/${name}/v1 declares no service`);
  return own;
}

/** The proto services that a service implements. @throws Error when it has none, or one of them is not in proto/ */
export function servedBy(name: ServiceName): readonly DescService[] {
  const others = (services[name].alsoServes ?? []).map((typeName) => {
    const service = contracts.getService(typeName);
    if (service === undefined) throw new Error(`${name} serves ${typeName}, which is not in proto/`);
    return service;
  });
  return [...ownServices(name), ...others];
}

export const allServices: readonly DescService[] = serviceNames.flatMap(servedBy);

/** The events that a service publishes: the messages of its `events.proto` that are not a field's type in another one there. */
export function publishedBy(name: ServiceName): readonly DescMessage[] {
  const own = found
    .filter((desc) => desc.kind === "message")
    .filter(({ file }) => file.name === `shop/${name}/v1/events`);
  const parts = new Set(own.flatMap(({ fields }) => fields.map(({ message }) => message)));
  const others = (services[name].alsoPublishes ?? []).map((typeName) => contracts.getMessage(typeName)!);
  return [...own.filter((message) => !parts.has(message)), ...others];
}
