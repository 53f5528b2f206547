import type { IncomingHttpHeaders } from "node:http";

/**
 * The headers of a request as the web has them, over those that Node has parsed already. Reading one or two, which is all
 * that most calls do, makes nothing; whatever else is asked makes real `Headers` once and goes on with them. HTTP/2's
 * pseudo-headers are left out.
 */
export class NodeHeaders implements Headers {
  readonly #node: IncomingHttpHeaders;
  #made: Headers | undefined;

  constructor(node: IncomingHttpHeaders) {
    this.#node = node;
  }

  get(name: string): string | null {
    if (this.#made !== undefined) return this.#made.get(name);
    const value = this.#node[name] ?? this.#node[name.toLowerCase()];
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
    this.#real().set(name, value);
  }

  getSetCookie(): string[] {
    return this.#real().getSetCookie();
  }

  forEach(each: (value: string, key: string, parent: Headers) => void, thisArg?: unknown): void {
    for (const [key, value] of this.#real()) each.call(thisArg, value, key, this);
  }

  entries(): IterableIterator<[string, string]> {
    return this.#real().entries();
  }

  keys(): IterableIterator<string> {
    return this.#real().keys();
  }

  values(): IterableIterator<string> {
    return this.#real().values();
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  #real(): Headers {
    if (this.#made !== undefined) return this.#made;
    const made = new Headers();
    for (const name in this.#node) {
      const value = this.#node[name];
      if (value === undefined || name.startsWith(":")) continue;
      if (typeof value === "string") made.set(name, value);
      else for (const one of value) made.append(name, one);
    }
    this.#made = made;
    return made;
  }
}
