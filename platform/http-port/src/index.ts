export type { AnyRequest, AnyResponse } from "./any-request.ts";
export {
  clientAddressHeader,
  clientAddressOf,
  clientOf,
  forwardingCredentialHeader,
  internalCredentialHeader,
  networkOf,
  networksPerSite,
  peerOf,
  sharersOf,
  type TrustsProxy,
} from "./client-address.ts";
export { closeStream } from "./close-stream.ts";
export { type ConnectionLimits, limitConnections, type RefusedConnection } from "./connection-limits.ts";
export { discardBody, discardMaxBytes } from "./discard-body.ts";
export { drain } from "./drain.ts";
export { endInOnePiece } from "./end-in-one-piece.ts";
export { hasBody, streamHasBody } from "./has-body.ts";
export type { Connection, HeldBytes, HoldBytes } from "./held-bytes.ts";
export { endToEnd } from "./hop-by-hop.ts";
export {
  contain,
  containRejection,
  createListenerGuard,
  guardLike,
  type ListenerGuard,
  type NetworkError,
} from "./listener-guard.ts";
export {
  type AnswerHead,
  type Frame,
  FrameReader,
  FrameWriter,
  frameType,
  type GoAwayHead,
  type HelloHead,
  MuxProtocolError,
  muxPreface,
  type RequestHead as MuxRequestHead,
  type ResetHead,
} from "./mux/frames.ts";
export type { MuxCall } from "./mux/mux-server-connection.ts";
export { NodeHeaders } from "./node-headers.ts";
export { type OnePortOptions, OnePortServer, onePortServerFactory, portOf } from "./one-port.ts";
export type { Refusals } from "./refusals.ts";
export { bodyOf } from "./request-body.ts";
export { normalizeTarget } from "./request-target.ts";
export { readShort, type ShortBody } from "./short-body.ts";
