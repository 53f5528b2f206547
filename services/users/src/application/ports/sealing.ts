/** Encrypts secrets for storing them in a database. */
export interface Sealer {
  /** `name` is authenticated, so the secret opens under no other name. */
  seal(name: string, secret: string): Uint8Array;
  /** Undefined when the secret was sealed with another key or name, or was changed. */
  open(name: string, sealed: Uint8Array): string | undefined;
}
