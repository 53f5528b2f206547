import { existsSync } from "node:fs";
import { join } from "node:path";
import { defaultPorts, metricsOffset, processNames } from "@shop/topology";
import { repositoryRoot } from "../repository-root.ts";
import { isReservedWord } from "../reserved-words.ts";
import { methodWithRoute } from "../taken-routes.ts";

/** The spellings of a new service's name. */
export interface NewService {
  /** `wishlists` */
  readonly name: string;
  /** The singular: `wishlist` */
  readonly one: string;
  /** `Wishlist` */
  readonly One: string;
  /** `Wishlists` */
  readonly Name: string;
  readonly port: number;
  readonly metricsOffset: number;
}

/** Names of folders below services/ and of processes, and names that a package of the same name would shadow. */
const taken = ["all-in-one", "topology", "starter", "common", ...processNames];

/** Validates the name of a new service, and chooses its ports. @throws Error with the reason why a name can't be used */
export function readNewService(name: string): NewService {
  // One word: it is part of variables, a proto package, identifiers and consumer names. Short enough for one line.
  if (!/^[a-z]{3,14}s$/.test(name)) {
    throw new Error(`"${name}" is not one word of small letters in the plural, such as wishlists`);
  }
  if (taken.includes(name)) throw new Error(`${name} is already the name of another part of the shop`);
  for (const folder of [`services/${name}`, `proto/shop/${name}`, `node_modules/@shop/${name}`]) {
    if (existsSync(join(repositoryRoot, folder))) throw new Error(`${folder} exists already`);
  }
  const other = methodWithRoute("POST", `/${name}`);
  if (other !== undefined) throw new Error(`POST /${name} is already the route of ${other}`);
  const one = name.endsWith("ies") ? `${name.slice(0, -3)}y` : name.slice(0, -1);
  if (isReservedWord(name) || isReservedWord(one)) throw new Error(`"${name}" or "${one}" is a reserved word`);
  return {
    name,
    one,
    One: capitalized(one),
    Name: capitalized(name),
    port: freePort(),
    metricsOffset: Math.max(...processNames.map(metricsOffset)) + 1,
  };
}

/** The first port after 5000 that no process has. */
function freePort(): number {
  const ports = Object.values(defaultPorts);
  let port = 5_001;
  while (ports.includes(port)) port++;
  return port;
}

function capitalized(word: string): string {
  return word[0]!.toUpperCase() + word.slice(1);
}
