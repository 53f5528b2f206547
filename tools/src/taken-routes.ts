import { restRoutes } from "@shop/rest";
import { allServices } from "@shop/topology/contracts";

/** The full name of the method that has this REST route, whatever its variables are called; undefined if none has. */
export function methodWithRoute(verb: string, path: string): string | undefined {
  const shape = shapeOf(path);
  const route = restRoutes(allServices).find((other) => other.httpMethod === verb && shapeOf(other.path) === shape);
  return route && `${route.method.parent.typeName}.${route.method.name}`;
}

function shapeOf(path: string): string {
  return path.replaceAll(/\{[^}]*\}/g, "*");
}
