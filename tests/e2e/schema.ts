import { globSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { ownerOf } from "@shop/topology";
import { type AnyMethod, nameOf } from "./clients.ts";
import { accessRules } from "./method-table.ts";
import { shop } from "./shopping.ts";

/** Every service of the schema. */
export const services = (
  await Promise.all(globSync(join(import.meta.dirname, "../../gen/src/shop/**/*_pb.ts")).map((file) => import(file)))
)
  .flatMap((module) => Object.values(module as object))
  .filter((value): value is DescService => value?.kind === "service");
/** Every unary and server-streaming method: the others have neither REST nor a browser client. */
export const methods = services
  .flatMap((service) => service.methods)
  .filter((method): method is AnyMethod => method.methodKind === "unary" || method.methodKind === "server_streaming");

export const isInternal = (method: AnyMethod) => accessRules[nameOf(method)] === "INTERNAL";

/** The URL of the process that hosts a service, in either topology. */
export const ownUrls: Readonly<Record<string, string>> = Object.fromEntries(
  services.map(({ typeName }) => [typeName, shop[`${ownerOf(typeName)}Url`]]),
);
