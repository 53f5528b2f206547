import type { OutgoingHttpHeaders } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { DomainError } from "@shop/core";
import { type AnyRequest, type AnyResponse, contain } from "@shop/http-port";
import type { PortMetrics } from "../port-metrics.ts";
import { toConnectError } from "./errors.ts";
import { writeProtocolError } from "./protocol-error.ts";

/** Who asks again as soon as it is refused, whatever it was told, would else take up the time of what was let in. */
const toldAfterMs = 200;

/** Refuses calls before anybody reads them: what is refused under load has to be cheap. */
export interface EarlyRefusals {
  /** What a call is refused with now; undefined when it is not. */
  of(method: DescMethod): DomainError | undefined;
  /** Tells the caller, a moment later, unless it has gone by then. Nothing else may answer. */
  tell(
    method: DescMethod,
    refusal: DomainError,
    request: AnyRequest,
    response: AnyResponse,
    said?: OutgoingHttpHeaders,
  ): void;
}

export function createEarlyRefusals(port: {
  refusal(method: DescMethod): DomainError | undefined;
  readonly metrics: PortMetrics | undefined;
}): EarlyRefusals {
  /** Made once for an error that refuses many. */
  const told = new WeakMap<DomainError, ConnectError>();

  return {
    of: (method) => port.refusal(method),
    tell(method, refusal, request, response, said) {
      // Kinds of errors are called as Connect calls their codes.
      port.metrics?.called(`${method.parent.typeName}/${method.name}`, refusal.kind, 0);
      const error = told.get(refusal) ?? toConnectError(refusal, method.parent.file.proto.package);
      told.set(refusal, error);
      setTimeout(() => {
        if (!isGone(response)) contain(response, () => writeProtocolError(request, response, error, said));
      }, toldAfterMs);
    },
  };
}

function isGone(response: AnyResponse): boolean {
  return "stream" in response ? response.stream.destroyed : response.destroyed;
}
