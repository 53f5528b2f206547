import { globSync, readFileSync } from "node:fs";

const httpRule = /\b(get|post|put|patch|delete): "([^"]+)"/g;

/** The contract that already has this REST route, whatever its variables are called; undefined if none has. Reads `proto/`. */
export function contractWithRoute(verb: string, path: string): string | undefined {
  const wanted = routeOf(verb, path);
  return globSync("proto/shop/**/*.proto").find((file) =>
    [...readFileSync(file, "utf8").matchAll(httpRule)].some(([, verb, path]) => routeOf(verb!, path!) === wanted),
  );
}

function routeOf(verb: string, path: string): string {
  return `${verb.toUpperCase()} ${path.replaceAll(/\{[^}]*\}/g, "*")}`;
}
