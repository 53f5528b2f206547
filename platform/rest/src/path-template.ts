/** A segment of a template: literal text (percent-decoded), `*` for one segment, `**` for the rest. */
type TemplateSegment = { kind: "literal"; text: string } | { kind: "*" } | { kind: "**" };

/** A variable of a template: the segments it captures, `end` excluded and Infinity after a `**`. */
export type TemplateVariable = {
  fieldPath: readonly string[];
  start: number;
  end: number;
  /** Whether the variable spans several segments; then `%2F` stays encoded in its value. */
  multiSegment: boolean;
};

/** A parsed path template. `verb` is the literal after the colon, or "". */
export type PathTemplate = {
  segments: readonly TemplateSegment[];
  variables: readonly TemplateVariable[];
  verb: string;
};

const identifier = /^[A-Za-z_][A-Za-z0-9_]*/;
// pchar of RFC 3986 without ":", which only separates a verb, and without "*", which is a wildcard.
const literal = /^(?:[A-Za-z0-9\-._~!$&'()+,;=@]|%[0-9A-Fa-f]{2})+/;

/**
 * Parses a path template by the grammar in google/api/http.proto:
 *
 *     Template = "/" Segments [ Verb ] ;
 *     Segments = Segment { "/" Segment } ;
 *     Segment  = "*" | "**" | LITERAL | Variable ;
 *     Variable = "{" FieldPath [ "=" Segments ] "}" ;
 *
 * and additionally "/" alone. Throws an Error that names the template and the position.
 */
export function parsePathTemplate(template: string): PathTemplate {
  const segments: TemplateSegment[] = [];
  const variables: TemplateVariable[] = [];
  let position = 0;

  const fail = (problem: string): never => {
    throw new Error(`path template "${template}": ${problem} at position ${position + 1}`);
  };
  const accept = (text: string): boolean => {
    if (!template.startsWith(text, position)) return false;
    position += text.length;
    return true;
  };
  const take = (pattern: RegExp, expected: string): string => {
    const found = pattern.exec(template.slice(position))?.[0] ?? fail(`expected ${expected}`);
    position += found.length;
    return found;
  };
  const takeLiteral = (expected: string): string => {
    const text = take(literal, expected);
    return decodeOrUndefined(text) ?? fail(`"${text}" does not decode to UTF-8`);
  };

  const parseSegments = (insideVariable: boolean): void => {
    do {
      if (segments.at(-1)?.kind === "**") fail("** must be the last segment");
      if (accept("**")) segments.push({ kind: "**" });
      else if (accept("*")) segments.push({ kind: "*" });
      else if (template[position] !== "{") segments.push({ kind: "literal", text: takeLiteral("a segment") });
      else if (insideVariable) fail("a variable must not contain another variable");
      else parseVariable();
    } while (accept("/"));
  };

  const parseVariable = (): void => {
    accept("{");
    const fieldPath = [take(identifier, "a field name")];
    while (accept(".")) fieldPath.push(take(identifier, "a field name"));
    const start = segments.length;
    if (accept("=")) parseSegments(true);
    else segments.push({ kind: "*" });
    if (!accept("}")) fail('expected "}"');
    const rest = segments.at(-1)?.kind === "**";
    if (variables.some((other) => other.fieldPath.join(".") === fieldPath.join(".")))
      fail(`the variable ${fieldPath.join(".")} is bound twice`);
    variables.push({
      fieldPath,
      start,
      end: rest ? Number.POSITIVE_INFINITY : segments.length,
      multiSegment: rest || segments.length - start > 1,
    });
  };

  if (!accept("/")) fail('expected "/"');
  if (template === "/") return { segments, variables, verb: "" };
  parseSegments(false);
  const verb = accept(":") ? takeLiteral("a verb") : "";
  if (position < template.length) fail(`unexpected "${template[position]}"`);
  return { segments, variables, verb };
}

/** Percent-decodes `text`; undefined if it is invalid. */
export function decodeOrUndefined(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
