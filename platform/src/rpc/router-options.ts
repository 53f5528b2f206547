import type { ConnectRouterOptions, Interceptor } from "@connectrpc/connect";
import { createValidateInterceptor } from "@connectrpc/validate";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { type Authorize, rememberCaller } from "./access.ts";
import { cacheableInterceptor } from "./cacheable.ts";
import { deadlineInterceptor } from "./deadlines.ts";
import { errorsInterceptor, toConnectError } from "./errors.ts";
import { loggingInterceptor } from "./logging.ts";
import { measuringInterceptor } from "./measuring.ts";
import { idempotencyInterceptor } from "./request-id.ts";
import { textInterceptor } from "./request-text.ts";
import { requestValidator } from "./request-validator.ts";

/** The largest message that is read: 1 MiB. */
const readMaxBytes = 1024 * 1024;
/** The longest deadline that a caller may ask for. */
const maxTimeoutMs = 60 * 60 * 1000;

export type RouterOptions = Pick<
  ConnectRouterOptions,
  "interceptors" | "requestGate" | "jsonOptions" | "readMaxBytes" | "maxTimeoutMs"
> & {
  readonly interceptors: Interceptor[];
  readonly readMaxBytes: number;
};

/**
 * What every call passes, in every protocol and in memory, in this order: the gate (who may call; before the body is read),
 * then log and trace, metrics where they are kept, what caches may keep, errors, deadlines, names of requests, text, validation, the method.
 */
export function createRouterOptions(authorize: Authorize, log: Logger, metrics: Metrics | undefined): RouterOptions {
  return {
    async requestGate(context) {
      try {
        rememberCaller(context.values, await authorize(context.method, context.requestHeader));
      } catch (error) {
        throw toConnectError(error, context.service.file.proto.package);
      }
    },
    interceptors: [
      loggingInterceptor(log),
      ...(metrics === undefined ? [] : [measuringInterceptor(metrics)]),
      cacheableInterceptor(),
      errorsInterceptor(),
      deadlineInterceptor(),
      idempotencyInterceptor(),
      textInterceptor(),
      createValidateInterceptor({ validator: requestValidator }),
    ],
    jsonOptions: { ignoreUnknownFields: false },
    readMaxBytes,
    maxTimeoutMs,
  };
}
