import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { DomainError } from "@shop/core";
import type { Exchange } from "../exchange.ts";
import type { PortMetrics } from "../port-metrics.ts";
import { toConnectError } from "./errors.ts";

/** A client that retries as soon as it is refused, whatever it is told, would take up the time of the calls that were admitted. */
const answerAfterMs = 200;

/** Load shedding: refuses calls before anything of them is read, so that refusing under load is cheap. */
export interface Admission {
  /** The error that a call of the method would be refused with now; undefined when it is admitted. Without side effects. */
  refusal(method: DescMethod): DomainError | undefined;
  /** Counts the refusal, and answers a moment later. Nothing else may answer. */
  refuse(method: DescMethod, refusal: DomainError, exchange: Exchange): void;
}

export function createAdmission(port: {
  refusal(method: DescMethod): DomainError | undefined;
  readonly metrics: PortMetrics | undefined;
}): Admission {
  /** Encoded once for an error that refuses many calls. */
  const encoded = new WeakMap<DomainError, ConnectError>();

  return {
    refusal: (method) => port.refusal(method),
    refuse(method, refusal, exchange) {
      // Kinds of errors are called as Connect calls their codes.
      port.metrics?.called(`${method.parent.typeName}/${method.name}`, refusal.kind, 0);
      const error = encoded.get(refusal) ?? toConnectError(refusal, method.parent.file.proto.package);
      encoded.set(refusal, error);
      setTimeout(() => exchange.refuse(error), answerAfterMs);
    },
  };
}
