/** Categories that differ only in case or form (see `foldText`) are one category, with one spelling. */
export interface Categories {
  /** Returns the spelling to store: that of the oldest active product of the category, or else the first one in `categories`. */
  spellingsOf(categories: readonly string[]): Promise<(category: string) => string>;
}
