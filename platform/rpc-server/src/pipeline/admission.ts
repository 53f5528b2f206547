import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { DomainError } from "@shop/core";
import type { Exchange } from "../exchange.ts";
import type { PortMetrics } from "../port-metrics.ts";
import { toConnectError } from "./errors.ts";

/** A refusal is delayed: a client that retries immediately would otherwise take CPU time from the admitted calls. */
const answerAfterMs = 200;

/** Load shedding: refuses calls before their bodies are read, so that a refusal is cheap under load. */
export interface Admission {
  /** The error that a call of the method is refused with now; undefined if it is admitted. Has no side effects. */
  refusal(method: DescMethod): DomainError | undefined;
  /** Counts the refusal, and answers 200 ms later. Nothing else may answer the exchange. */
  refuse(method: DescMethod, refusal: DomainError, exchange: Pick<Exchange, "refuse">): void;
}

export function createAdmission(port: {
  refusal(method: DescMethod): DomainError | undefined;
  readonly metrics: PortMetrics | undefined;
}): Admission {
  /** An error that refuses many calls is encoded once. */
  const encoded = new WeakMap<DomainError, ConnectError>();

  return {
    refusal: (method) => port.refusal(method),
    refuse(method, refusal, exchange) {
      // Error kinds have the names of Connect's codes.
      port.metrics?.called(`${method.parent.typeName}/${method.name}`, refusal.kind, 0);
      const error = encoded.get(refusal) ?? toConnectError(refusal, method.parent.file.proto.package);
      encoded.set(refusal, error);
      setTimeout(() => exchange.refuse(error), answerAfterMs);
    },
  };
}
