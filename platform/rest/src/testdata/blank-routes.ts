import { httpRule } from "../route.ts";
import { createRestRoutes, type RestRoutes } from "../route-trie.ts";
import { testService } from "./descriptors.ts";

/** Routes from lines such as `GET /v1/{name=shelves/*}`, one method of spec.v1.Blank each; "*" is any HTTP method. */
export function blankRoutes(...lines: string[]): RestRoutes {
  const rules = lines.map((line, index) => {
    const [kind = "", path = ""] = line.split(" ");
    return httpRule({
      selector: `spec.v1.Blank.M${index}`,
      pattern: { case: "custom", value: { kind, path } },
    });
  });
  return createRestRoutes([testService("spec.v1.Blank")], rules);
}

/** The line that matches a request, with the raw captures by field: `/v1/{x} x=1`, or the kind of error. */
export function lookUp(routes: RestRoutes, request: string): string {
  const [method = "", path = ""] = request.split(" ");
  const match = routes.match(method, path);
  switch (match.kind) {
    case "match": {
      const captures = match.route.variables.map(({ name }, index) => `${name}=${match.variables[index]}`);
      return [match.route.path, ...captures].join(" ");
    }
    case "method_not_allowed":
      return `405 ${match.allow.join(",")}`;
    case "not_found":
      return "404";
  }
}
