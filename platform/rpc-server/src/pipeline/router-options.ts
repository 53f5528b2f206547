import type { Validator } from "@bufbuild/protovalidate";
import type { ConnectRouterOptions, Interceptor } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { createValidateInterceptor } from "@connectrpc/validate";
import type { Logger } from "@shop/core";
import type { PortMetrics } from "../port-metrics.ts";
import { type Authorize, rememberCaller } from "./authorize.ts";
import { cacheableInterceptor, type IsPublicRead } from "./cacheable.ts";
import { deadlineInterceptor } from "./deadlines.ts";
import { errorsInterceptor, type IsDependencyLost, toConnectError } from "./errors.ts";
import { loggingInterceptor } from "./logging.ts";
import { measuringInterceptor } from "./measuring.ts";
import { idempotencyInterceptor } from "./request-id.ts";
import { textInterceptor } from "./request-text.ts";
import { createRequestValidator } from "./request-validator.ts";

/** The largest message that is read: 1 MiB. */
const readMaxBytes = 1024 * 1024;
/** The longest deadline that a caller may ask for. */
const maxTimeoutMs = 60 * 60 * 1000;

const protovalidate = createRequestValidator([]);

export type RouterOptions = Pick<
  ConnectRouterOptions,
  "interceptors" | "requestGate" | "jsonOptions" | "readMaxBytes" | "maxTimeoutMs"
> & {
  readonly interceptors: Interceptor[];
  readonly readMaxBytes: number;
  /** Absent if nothing is hosted. */
  readonly isPublicRead?: IsPublicRead;
};

/** The rules that calls are authorized, validated and reported by. */
export interface CallRules {
  readonly authorize: Authorize;
  /** Methods whose answers any cache may store; none by default. */
  readonly isPublicRead?: IsPublicRead;
  /** Validates every decoded request; protovalidate's rules by default. */
  readonly validator?: Validator;
  /** Errors that are reported as UNAVAILABLE, since a retry may succeed; none by default. */
  readonly isDependencyLost?: IsDependencyLost;
  readonly log: Logger;
  readonly metrics: PortMetrics | undefined;
}

/**
 * The stages of every call, in every protocol and in memory, in this order: authorization, before the body is read, then log
 * and trace, metrics if they are collected, cacheability, errors, deadlines, idempotency keys, text, validation, the method.
 * Calls that authorization refuses are counted in the metrics, too.
 */
export function createRouterOptions(rules: CallRules): RouterOptions {
  const { authorize, isPublicRead = () => false, validator = protovalidate, log, metrics } = rules;
  return {
    async requestGate(context) {
      const startedAt = performance.now();
      try {
        rememberCaller(context.values, await authorize(context.method, context.requestHeader));
      } catch (error) {
        const refusal = toConnectError(error, context.service.file.proto.package, rules.isDependencyLost);
        const seconds = (performance.now() - startedAt) / 1000;
        metrics?.called(`${context.service.typeName}/${context.method.name}`, codeToString(refusal.code), seconds);
        throw refusal;
      }
    },
    interceptors: [
      loggingInterceptor(log),
      ...(metrics === undefined ? [] : [measuringInterceptor(metrics)]),
      cacheableInterceptor(isPublicRead),
      errorsInterceptor(rules.isDependencyLost),
      deadlineInterceptor(),
      idempotencyInterceptor(),
      textInterceptor(),
      createValidateInterceptor({ validator }),
    ],
    jsonOptions: { ignoreUnknownFields: false },
    readMaxBytes,
    maxTimeoutMs,
    isPublicRead,
  };
}
