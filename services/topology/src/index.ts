import { gatewayEntry, type ServiceEntry, topology } from "./topology.ts";

export type { ServiceEntry } from "./topology.ts";

export type ServiceName = keyof typeof topology;
/** A process of the split shop. */
export type ProcessName = ServiceName | "gateway";
export type PortVariable<Name extends ProcessName = ProcessName> = `${Uppercase<Name>}_PORT`;
export type UrlVariable<Name extends ServiceName = ServiceName> = `${Uppercase<Name>}_URL`;

/** All services by name, in the order in which one process starts them. */
export const services: Readonly<Record<ServiceName, ServiceEntry>> = topology;
export const serviceNames = Object.keys(topology) as readonly ServiceName[];
export const processNames: readonly ProcessName[] = [...serviceNames, "gateway"];

/** The variable that sets the port of a process: `ORDERS_PORT`. */
export function portVariable<Name extends ProcessName>(name: Name): PortVariable<Name> {
  return `${name.toUpperCase()}_PORT` as PortVariable<Name>;
}

/** The variable with the URLs of a service's replicas: `ORDERS_URL`. */
export function urlVariable<Name extends ServiceName>(name: Name): UrlVariable<Name> {
  return `${name.toUpperCase()}_URL` as UrlVariable<Name>;
}

/** The default ports by their variables, the public port first. */
export const defaultPorts: Readonly<Record<PortVariable, number>> = {
  GATEWAY_PORT: gatewayEntry.port,
  ...(Object.fromEntries(serviceNames.map((name) => [portVariable(name), topology[name].port])) as Record<
    PortVariable<ServiceName>,
    number
  >),
};

/** The offset of a process's metrics port from `METRICS_PORT` when the shop is split. */
export function metricsOffset(name: ProcessName): number {
  return name === "gateway" ? gatewayEntry.metricsOffset : topology[name].metricsOffset;
}

/** The entry file of a process, relative to the root of the repository. */
export function entryFile(name: ProcessName): string {
  return name === "gateway" ? "gateway/src/main.ts" : `services/${name}/src/main.ts`;
}

/** The service that implements the proto service, or publishes the event, of that full name. @throws Error if none does */
export function ownerOf(typeName: string): ServiceName {
  const owner = serviceNames.find((name) => {
    const { alsoServes = [], alsoPublishes = [] } = services[name];
    return typeName.startsWith(`shop.${name}.`) || [...alsoServes, ...alsoPublishes].includes(typeName);
  });
  if (owner === undefined) throw new Error(`services/topology names no service for ${typeName}`);
  return owner;
}

/** An event that a service consumes, and its durable consumer. */
export interface ConsumedEvent {
  /** The full name of the event. */
  readonly event: string;
  readonly stream: string;
  /** `inventory-order-placed` */
  readonly durable: string;
}

/** The events that a service consumes. */
export function consumedBy(name: ServiceName): readonly ConsumedEvent[] {
  return (services[name].consumes ?? []).map((event) => ({
    event,
    stream: ownerOf(event),
    durable: `${name}-${kebabCase(event.split(".").at(-1)!)}`,
  }));
}

/**
 * The durable consumer of an event, for the service's event handler.
 *
 * @throws Error when the topology does not list the event for the service, because NATS would refuse the consumer
 */
export function consumerOf<Schema extends { readonly typeName: string }>(
  name: ServiceName,
  event: Schema,
): { readonly stream: string; readonly durable: string; readonly event: Schema } {
  const consumed = consumedBy(name).find((candidate) => candidate.event === event.typeName);
  if (consumed === undefined)
    throw new Error(`services/topology does not list ${event.typeName} in what ${name} consumes`);
  return { ...consumed, event };
}

/** Converts `OrderPlaced` to `order-placed`, for names of files and consumers. */
export function kebabCase(name: string): string {
  return name.replaceAll(/(?<=[a-z0-9])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
}
