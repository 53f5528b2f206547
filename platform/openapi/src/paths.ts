import type { PathVariable, RestRoute } from "@shop/rest";

/** A path parameter, which in OpenAPI is one segment: its name, and the variable it belongs to. */
export interface PathParameter {
  readonly name: string;
  readonly variable: PathVariable | undefined;
  /** The variable's template, if it has more than this segment; else "". */
  readonly template: string;
}

export interface OpenApiPath {
  readonly path: string;
  readonly parameters: readonly PathParameter[];
}

/**
 * Converts the path of a route to OpenAPI: every wildcard becomes a parameter, named after the last field of its variable.
 * `/products/{product.product_id}:watch` becomes `/products/{product_id}:watch`.
 */
export function openApiPath({ template, variables }: RestRoute): OpenApiPath {
  const parameters: PathParameter[] = [];
  const taken = new Set<string>();
  const segments = template.segments.map((segment, index) => {
    if (segment.kind === "literal") return encodeURIComponent(segment.text).replaceAll("%3A", ":");
    const variable = variables.find(({ start, end }) => start <= index && index < end);
    const name = freeName(variable?.fieldPath.at(-1) ?? "segment", taken);
    taken.add(name);
    const isWhole = variable !== undefined && variable.end - variable.start === 1;
    const parts = variable === undefined ? [] : template.segments.slice(variable.start, variable.end);
    const written = parts.map((part) => (part.kind === "literal" ? part.text : part.kind)).join("/");
    parameters.push({ name, variable, template: isWhole ? "" : written });
    return `{${name}}`;
  });
  const verb = template.verb === "" ? "" : `:${template.verb}`;
  return { path: `/${segments.join("/")}${verb}`, parameters };
}

/** The shape of a path: OpenAPI considers paths equal that differ only in the names of parameters. */
export const shapeOf = (path: string) => path.replaceAll(/\{[^}]*\}/g, "{}");

function freeName(name: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? name : `${name}_${number}`;
    if (!taken.has(candidate)) return candidate;
  }
}
