/** A lock with a TTL: when its holder dies, it expires by itself. */
export interface Lease {
  /** Acquires or renews the lease; false while another process holds it. */
  acquire(): Promise<boolean>;
  /** Releases the lease before it expires. */
  release(): Promise<void>;
}

/** Work that runs periodically. */
export interface Job {
  readonly name: string;
  /** From the end of one run to the start of the next, in milliseconds. */
  readonly intervalMs: number;
  /**
   * If given, only the holder of the lease runs the job. A failed run releases it, since another process may have the
   * dependency that this one lacks.
   */
  readonly lease?: Lease;
  run(signal: AbortSignal): Promise<void>;
}
