import { globSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import type { InventoryWorld } from "../../services/inventory/contract/inventory.ts";
import type { DeadLettersWorld } from "../../services/orders/contract/dead-letters.ts";
import type { OrdersWorld } from "../../services/orders/contract/orders.ts";
import type { UsersWorld } from "../../services/users/contract/users.ts";
import type { AnyMethod, ContractExample, MethodContract, ServiceContract } from "../contract.ts";

/** The data that exists before the cases run; each service needs a part of it. */
export type World = UsersWorld & InventoryWorld & OrdersWorld & DeadLettersWorld;

interface Contract extends MethodContract<World> {
  readonly method: AnyMethod;
}

/** The guarantees of all methods: all files in the contract/ folders. */
export const contracts: readonly Contract[] = (
  await Promise.all(
    globSync(join(import.meta.dirname, "../../services/*/contract/*.ts"))
      .toSorted()
      .map(async (file) => ((await import(file)) as { contract: ServiceContract<DescService, World> }).contract),
  )
).flatMap(({ service, methods }) =>
  Object.entries(methods as Readonly<Record<string, MethodContract<World>>>).map(([name, contract]) => ({
    ...contract,
    method: service.method[name] as AnyMethod,
  })),
);

/** The examples of the documentation, in the order in which they are replayed. */
export const story: readonly (ContractExample & { readonly method: AnyMethod })[] = contracts
  .flatMap(({ method, examples }) => examples.map((example) => ({ ...example, method })))
  .toSorted((one, other) => one.step - other.step);

/** Values by the full name of the method, as in `shop.orders.v1.OrderService/CreateOrder`. */
export function byMethod<Value>(read: (contract: Contract) => Value): Readonly<Record<string, Value>> {
  return Object.fromEntries(
    contracts.map((contract) => [`${contract.method.parent.typeName}/${contract.method.name}`, read(contract)]),
  );
}
