import { globSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { ownerOf } from "@shop/topology";
import { type AnyMethod, nameOf } from "./clients.ts";
import { mayCall } from "./method-table.ts";
import { shop } from "./shopping.ts";

/** Every service that the schema knows. */
export const services = (
  await Promise.all(globSync(join(import.meta.dirname, "../../gen/src/shop/**/*_pb.ts")).map((file) => import(file)))
)
  .flatMap((module) => Object.values(module as object))
  .filter((value): value is DescService => value?.kind === "service");
/** Every method that one request message calls: what streams requests has neither REST nor a browser's client. */
export const methods = services
  .flatMap((service) => service.methods)
  .filter((method): method is AnyMethod => method.methodKind === "unary" || method.methodKind === "server_streaming");

export const isInternal = (method: AnyMethod) => mayCall[nameOf(method)] === "platform";

/** The port of the process that answers for a service, in either shape. */
export const ownUrls: Readonly<Record<string, string>> = Object.fromEntries(
  services.map(({ typeName }) => [typeName, shop[`${ownerOf(typeName)}Url`]]),
);
