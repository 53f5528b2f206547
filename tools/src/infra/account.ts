/** A client of the servers with its own credentials, and its permissions. */
export interface Account {
  readonly name: string;
  readonly mongodb: {
    /** Databases that it may read and write; it has no access to others. */
    readonly databases: readonly string[];
  };
  readonly redis: {
    /** Patterns of keys, such as `cache:*`. */
    readonly keys: readonly string[];
    /** Patterns of channels. */
    readonly channels: readonly string[];
    /** Commands, in lower case. */
    readonly commands: readonly string[];
  };
  readonly nats: {
    /** Subjects that it publishes to. */
    readonly publish: readonly string[];
    /** Subjects that it subscribes to, besides its own inbox: `inboxOf`. */
    readonly subscribe: readonly string[];
  };
}

/** The account that may do everything except reach from a server to the machine: for tests, and for people. */
export const operator = "operator";

/** The NATS subject of replies to a user's requests, to which no other user may subscribe. */
export function inboxOf(user: string): string {
  return `_INBOX_${user}`;
}
