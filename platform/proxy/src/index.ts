export { createTransportTo, type TransportTo, type UpstreamService } from "./clients.ts";
export { forwardTo } from "./forward-to.ts";
export { upstreamNotReady } from "./upstream-ready.ts";
