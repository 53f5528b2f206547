import type { JsonValue } from "@bufbuild/protobuf";

/** Fields with generated values: different in each run, but equal wherever the example's values are equal. */
const generated = /(^|_)(id|subject|etag|token|ticket|actor)$/;
/** Fields that depend on other data of the shop. */
const anyNumber = /^(checked|(refresh_)?expires_in_seconds)$/;
const anyLength = /^(findings|keys)$/;
/** Fields with generated values that no later request repeats. */
const anyText = /(^|_)(user_agent|trace_id|event_id|next_page_token|time)$/;

/**
 * Maps the ids, times and tokens of examples to those of the running shop. It learns the mapping when
 * the examples are replayed, one after the other.
 */
export class ExampleMatcher {
  readonly #actual: Map<string, string>;

  /** @param actual the values in place of texts that have to be unique, such as names */
  constructor(actual: Readonly<Record<string, string>>) {
    this.#actual = new Map(Object.entries(actual));
  }

  /** An example with the values of the running shop. */
  toActual<Json extends JsonValue | undefined>(example: Json): Json {
    if (typeof example === "string") return this.#text(example) as Json;
    if (Array.isArray(example)) return example.map((one) => this.toActual(one)) as Json;
    if (example === null || typeof example !== "object") return example;
    return Object.fromEntries(Object.entries(example).map(([name, value]) => [name, this.toActual(value)])) as Json;
  }

  /** Differences of an answer from its example, as `path: example, answer`; learns the values of the example's texts. */
  differences(example: JsonValue, answer: JsonValue, path = "", name = ""): string[] {
    const differs = [`${path}: ${JSON.stringify(this.toActual(example))}, ${JSON.stringify(answer)}`];
    if (Array.isArray(example) && Array.isArray(answer)) {
      if (anyLength.test(name)) return answer.length > 0 || example.length === 0 ? [] : differs;
      if (example.length !== answer.length) return differs;
      return example.flatMap((one, index) => this.differences(one, answer[index]!, `${path}[${index}]`, name));
    }
    if (isObject(example) && isObject(answer)) {
      const names = new Set([...Object.keys(example), ...Object.keys(answer)]);
      if (anyNumber.test(name)) return [];
      return [...names].flatMap((one) =>
        one in example && one in answer
          ? this.differences(example[one]!, answer[one]!, `${path}.${one}`, one)
          : [`${path}.${one} is only in the ${one in example ? "example" : "answer"}`],
      );
    }
    if (typeof example === "string" && typeof answer === "string") {
      if (anyText.test(name) || this.#text(example) === answer) return [];
      if (!generated.test(name) || this.#actual.has(example) || example === "" || answer === "") return differs;
      this.#actual.set(example, answer);
      return [];
    }
    if (typeof example === "number" && typeof answer === "number" && anyNumber.test(name)) return [];
    return example === answer ? [] : differs;
  }

  #text(example: string): string {
    const known = this.#actual.get(example);
    if (known !== undefined) return known;
    // Ids and names within a sentence.
    return example.replaceAll(/[\w.-]{8,}/g, (word) => this.#actual.get(word) ?? word);
  }
}

function isObject(json: JsonValue): json is { [name: string]: JsonValue } {
  return json !== null && typeof json === "object" && !Array.isArray(json);
}
