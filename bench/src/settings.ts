/** How much is measured. */
export interface BenchSettings {
  /** Warm starts. */
  readonly runs: number;
  /** How often floor and subject take turns. */
  readonly rounds: number;
  /** How long each of those turns is; the bench's own choice when absent. */
  readonly seconds: number | undefined;
  readonly connections: number | undefined;
  /** Processes that the shop, and its floor, share the work out among. */
  readonly workers: number;
  /** What the schedule of a fault run follows from. */
  readonly seed: number;
  /** How long a run of minutes is, such as one that injects faults; the bench's own choice when absent. */
  readonly minutes: number | undefined;
  /** Whom they hit: a group of tests/resilience/nemesis.ts, or `each` for one run of each group. */
  readonly victim: string;
  readonly buyers: number;
}
