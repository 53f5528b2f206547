import type { IncomingHttpHeaders } from "node:http";

/** Matches the iterators of `Headers` as declared by Node's types or by TypeScript's DOM types, with or without `dispose`. */
type HeaderIterator<Item> = IteratorObject<Item, undefined, unknown>;

/** Names and values that `Headers` accepts without normalizing them. */
const plainName = /^[a-z0-9-]+$/;
const plainValue = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/**
 * Implements `Headers` over headers parsed by Node, or over none, to be filled. Reading or setting single headers, which is all
 * that most calls do, allocates nothing; any other operation creates real `Headers` once and delegates to them. HTTP/2's
 * pseudo-headers are left out.
 */
export class NodeHeaders implements Headers {
  #node: IncomingHttpHeaders | undefined;
  readonly #isOwn: boolean;
  #made: Headers | undefined;

  constructor(node?: IncomingHttpHeaders) {
    this.#node = node;
    this.#isOwn = node === undefined;
  }

  /** Whether it is known to be empty, without reading it. */
  get isUntouched(): boolean {
    return this.#node === undefined && this.#made === undefined;
  }

  get(name: string): string | null {
    if (this.#made !== undefined) return this.#made.get(name);
    const value = this.#parsed(name);
    if (value === undefined || name.startsWith(":")) return null;
    return typeof value === "string" ? value : value.join(", ");
  }

  has(name: string): boolean {
    return this.#made === undefined ? this.get(name) !== null : this.#made.has(name);
  }

  append(name: string, value: string): void {
    this.#real().append(name, value);
  }

  delete(name: string): void {
    this.#real().delete(name);
  }

  set(name: string, value: string): void {
    if (this.#made === undefined && this.#isOwn && plainName.test(name) && plainValue.test(value)) {
      this.#node ??= Object.create(null) as IncomingHttpHeaders;
      this.#node[name] = value;
    } else this.#real().set(name, value);
  }

  getSetCookie(): string[] {
    return this.#isPlain() ? [] : this.#real().getSetCookie();
  }

  forEach(each: (value: string, key: string, parent: Headers) => void, thisArg?: unknown): void {
    for (const [key, value] of this.#real()) each.call(thisArg, value, key, this);
  }

  entries(): HeaderIterator<[string, string]> {
    if (!this.#isPlain()) return this.#real().entries() as HeaderIterator<[string, string]>;
    return (Object.entries(this.#node ?? {}) as [string, string][])
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .values();
  }

  keys(): HeaderIterator<string> {
    return this.#real().keys() as HeaderIterator<string>;
  }

  values(): HeaderIterator<string> {
    return this.#real().values() as HeaderIterator<string>;
  }

  [Symbol.iterator](): HeaderIterator<[string, string]> {
    return this.entries();
  }

  #parsed(name: string): string | string[] | undefined {
    if (this.#node === undefined) return undefined;
    const value = this.#node[name] ?? this.#node[name.toLowerCase()];
    // Skips properties inherited from Object.prototype.
    return typeof value === "string" || Array.isArray(value) ? value : undefined;
  }

  /** Whether it was only filled by `set`. */
  #isPlain(): boolean {
    return this.#isOwn && this.#made === undefined && this.#node?.["set-cookie"] === undefined;
  }

  #real(): Headers {
    if (this.#made !== undefined) return this.#made;
    const made = new Headers();
    for (const [name, value] of Object.entries(this.#node ?? {})) {
      if (value === undefined || name.startsWith(":")) continue;
      if (typeof value === "string") made.set(name, value);
      else for (const one of value) made.append(name, one);
    }
    this.#made = made;
    return made;
  }
}
