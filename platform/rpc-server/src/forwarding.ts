import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "@shop/core";
import type { AnyRequest, HoldBytes } from "@shop/http-port";
import type { RestInvoke } from "@shop/rest";
import type { Exchange } from "./exchange.ts";
import type { Authorize } from "./pipeline/authorize.ts";
import type { RouterOptions } from "./pipeline/router-options.ts";
import type { PortMetrics } from "./port-metrics.ts";

/** Calls to services that other processes host: implemented by @shop/proxy. */
export interface Forwarding {
  /** Whether the method's service has an upstream, and one that speaks REST if the call is REST. */
  carries(method: DescMethod, isRest: boolean): boolean;
  /** Authorizes the call, then forwards it as bytes. Never rejects. */
  call(method: DescMethod, caller: Exchange): Promise<void>;
  /** Authorizes the call, then makes a new one. For REST calls of upstreams of other vendors, which do not speak REST. */
  readonly invoke: RestInvoke;
  /** Adds the headers about the client that a forwarded request carries, before `invoke`. */
  addForwardedHeaders(request: AnyRequest): void;
  /** Closes all connections at once; calls in progress break. */
  close(): void;
}

/** What a port provides to its forwarding. */
export interface ForwardingPort {
  /** The services that the port exposes. */
  readonly services: readonly DescService[];
  readonly authorize: Authorize;
  readonly routerOptions: RouterOptions;
  readonly holdBytes: HoldBytes;
  /** Fires before `close()`; forwarded streams end then. */
  readonly stopping: AbortSignal;
  readonly log: Logger;
  readonly metrics: PortMetrics | undefined;
}

export type OpenForwarding = (port: ForwardingPort) => Forwarding;

/** The forwarding of a port that hosts all the services it exposes. */
export const nothingForwarded: Forwarding = {
  carries: () => false,
  async call(method, caller) {
    caller.refuse(new ConnectError(`${method.parent.typeName} is not hosted here`, Code.Unimplemented));
  },
  async invoke(method) {
    throw new ConnectError(`${method.parent.typeName} is not hosted here`, Code.Unimplemented);
  },
  addForwardedHeaders() {},
  close() {},
};
