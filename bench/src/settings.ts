/** The options of a bench. */
export interface BenchSettings {
  /** Warm starts. */
  readonly runs: number;
  /** The number of rounds of floor and subject. */
  readonly rounds: number;
  /** The length of a turn; the bench's default when absent. */
  readonly seconds: number | undefined;
  readonly connections: number | undefined;
  /** Worker processes of the shop and of its floor. */
  readonly workers: number;
  /** The seed of a fault run's schedule. */
  readonly seed: number;
  /** The length of a long run, such as a fault run; the bench's default when absent. */
  readonly minutes: number | undefined;
  /** The victims: a group of tests/resilience/nemesis.ts, or `each` for one run of each group. */
  readonly victim: string;
  readonly buyers: number;
}
