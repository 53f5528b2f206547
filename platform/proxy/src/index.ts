export { createTransportTo, type Neighbour, type TransportTo } from "./clients.ts";
export { forwardTo } from "./forward-to.ts";
export { neighbourNotReady } from "./upstream-ready.ts";
