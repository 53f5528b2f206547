/** The right to do something alone, for a while: a process that dies leaves nothing behind but time. */
export interface Lease {
  /** Takes or prolongs the lease; false while somebody else has it. */
  acquire(): Promise<boolean>;
  /** Gives it back early. */
  release(): Promise<void>;
}

/** Work that the clock starts, again and again. */
export interface Job {
  readonly name: string;
  /** From the end of one run to the start of the next, in milliseconds. */
  readonly intervalMs: number;
  /** Only the holder runs it; a run that fails gives it back, for others may have what this process lacks. */
  readonly lease?: Lease;
  run(signal: AbortSignal): Promise<void>;
}
