/** A client of the servers with credentials of its own, and all that it may do there. */
export interface Account {
  readonly name: string;
  readonly mongodb: {
    /** Databases that it reads and writes; it sees no other. */
    readonly databases: readonly string[];
  };
  readonly redis: {
    /** Patterns of keys, such as `cache:*`. */
    readonly keys: readonly string[];
    /** Patterns of channels. */
    readonly channels: readonly string[];
    /** Commands, in lower case; a subcommand as `client|setinfo`. */
    readonly commands: readonly string[];
  };
  readonly nats: {
    /** Subjects that it publishes to. It subscribes to its own inbox only: `inboxOf`. */
    readonly publish: readonly string[];
  };
}

/** The account that may do everything but what leads out of a server to the machine: for tests, and for a person. */
export const operator = "operator";

/** Where the answers to a user's requests arrive in NATS: nobody else may listen there. */
export function inboxOf(user: string): string {
  return `_INBOX_${user}`;
}
