import { BufferedBytes } from "./pipeline/buffered-bytes.ts";
import type { ServerOptions } from "./server.ts";

/** A port on a free number that nothing was said about: it forwards, limits, refuses, measures and tells browsers nothing. */
export const barePort = {
  host: "127.0.0.1",
  port: 0,
  isPublic: false,
  trustsProxy: () => false,
  corsOrigins: [],
  connectionLimits: undefined,
  bufferedBytes: new BufferedBytes(0),
  openApi: undefined,
  trustsForwarder: () => false,
  refusal: () => undefined,
  metrics: undefined,
  findAtHand: () => undefined,
  missing: async () => [],
  stopping: new AbortController().signal,
} satisfies Partial<ServerOptions>;
