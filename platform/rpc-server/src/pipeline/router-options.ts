import type { Validator } from "@bufbuild/protovalidate";
import type { ConnectRouterOptions, Interceptor } from "@connectrpc/connect";
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
  /** Absent where nothing is hosted. */
  readonly isPublicRead?: IsPublicRead;
};

/** What calls are checked by and told to. */
export interface CallRules {
  readonly authorize: Authorize;
  /** Whose answers any cache may keep; none by default. */
  readonly isPublicRead?: IsPublicRead;
  /** Checks every request, decoded; by protovalidate's rules by default. */
  readonly validator?: Validator;
  /** Errors of methods that are told as UNAVAILABLE and may pass; none by default. */
  readonly isDependencyLost?: IsDependencyLost;
  readonly log: Logger;
  readonly metrics: PortMetrics | undefined;
}

/**
 * What every call passes, in every protocol and in memory, in this order: authorization, before the body is read,
 * then log and trace, metrics where they are kept, what caches may keep, errors, deadlines, names of requests, text, validation, the method.
 */
export function createRouterOptions(rules: CallRules): RouterOptions {
  const { authorize, isPublicRead = () => false, validator = protovalidate, log, metrics } = rules;
  return {
    async requestGate(context) {
      try {
        rememberCaller(context.values, await authorize(context.method, context.requestHeader));
      } catch (error) {
        throw toConnectError(error, context.service.file.proto.package, rules.isDependencyLost);
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
