// autocannon brings no types: as much of it as the bench uses.
declare module "autocannon" {
  interface Client {
    setRequests(requests: readonly object[]): void;
    on(event: "body", listener: (body: Buffer) => void): void;
  }
  interface Result {
    /** Seconds. */
    readonly duration: number;
    /** Connection errors, timeouts among them. */
    readonly errors: number;
  }
  interface Instance extends Promise<Result> {
    on(
      event: "response",
      listener: (client: Client, status: number, bytes: number, latencyMs: number) => void,
    ): Instance;
  }
  function autocannon(options: {
    readonly url: string;
    readonly connections: number;
    readonly duration: number;
    /** Requests a second, over all connections. */
    readonly overallRate?: number;
    readonly setupClient: (client: Client) => void;
  }): Instance;
  export = autocannon;
}
