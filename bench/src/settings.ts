/** How much is measured. */
export interface BenchSettings {
  /** Warm starts. */
  readonly runs: number;
  /** How often floor and subject take turns. */
  readonly rounds: number;
  /** How long each of those turns is; the bench's own choice when absent. */
  readonly seconds: number | undefined;
  readonly connections: number | undefined;
  /** What the schedule of a fault run follows from. */
  readonly seed: number;
  /** How long faults are injected. */
  readonly minutes: number;
}
