import { create, type DescMessage, type DescMethod, getOption, type Message, ScalarType } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { isLost, isUnauthenticated, retryAfterMs } from "./errors.ts";
import { pause, pauseMs, unlessAborted } from "./pause.ts";

export interface CallRules {
  /** The default deadline of a call, with all its attempts and pauses. Streams have no default deadline. */
  readonly timeoutMs: number;
  /** The maximum number of attempts. */
  readonly attempts: number;
}

export const defaultCallRules: CallRules = { timeoutMs: 10_000, attempts: 4 };

/** The signed-in user, as calls see it. */
export interface Caller {
  /** Undefined when no user is signed in. */
  readonly userId: string | undefined;
  /** A valid access token of that user. Throws UNAUTHENTICATED SESSION_ENDED when another user, or none, is signed in. */
  accessTokenOf(userId: string): Promise<string>;
  /** Reports that the server refused this token, so that it is renewed. */
  refused(accessToken: string): void;
}

/**
 * Adds to a transport: a deadline; the user's access token, renewed once when it is refused; and retries of methods that can be retried,
 * after a lost response or when the server asks for it. All attempts of a call are made as the user who was signed in when it began.
 */
export function withCallRules(transport: Transport, caller: Caller | undefined, rules: CallRules): Transport {
  const callerOf = (method: DescMethod, header: Headers) =>
    needsToken(method) && !header.has("authorization") ? caller?.userId : undefined;

  return {
    async unary(method, givenSignal, timeoutMs, givenHeader, input, contextValues) {
      const header = new Headers(givenHeader);
      const message = withRequestId(method.input, create(method.input, input), header);
      const userId = callerOf(method, header);
      const deadline = startDeadline(timeoutMs ?? rules.timeoutMs, givenSignal);
      const { signal } = deadline;
      let wasRefused = false;
      try {
        for (let attempt = 1; ; ) {
          let token: string | undefined;
          try {
            token = userId && (await unlessAborted(caller!.accessTokenOf(userId), signal));
            if (token) header.set("authorization", `Bearer ${token}`);
            return await transport.unary(method, signal, deadline.leftMs(), header, message, contextValues);
          } catch (thrown) {
            const error = ConnectError.from(thrown);
            // The server authorizes before it does anything else, so any method can be retried after this error.
            if (token && isUnauthenticated(error) && !wasRefused) {
              wasRefused = true;
              caller!.refused(token);
              continue;
            }
            const mayHelp = isLost(error) || retryAfterMs(error) !== undefined;
            if (!isRetryable(method) || !mayHelp || attempt >= rules.attempts) throw error;
            const ms = pauseMs(error, attempt++);
            if (ms >= (deadline.leftMs() ?? Number.POSITIVE_INFINITY)) throw error;
            await pause(ms, signal);
          }
        }
      } finally {
        deadline.clear();
      }
    },

    async stream(method, signal, timeoutMs, givenHeader, input, contextValues) {
      const header = new Headers(givenHeader);
      const userId = callerOf(method, header);
      const token = userId && (await unlessAborted(caller!.accessTokenOf(userId), signal));
      if (token) header.set("authorization", `Bearer ${token}`);
      const noteRefusal = (error: unknown) => {
        if (token && isUnauthenticated(error)) caller!.refused(token);
        return error;
      };
      try {
        const response = await transport.stream(method, signal, timeoutMs, header, input, contextValues);
        return { ...response, message: mapError(response.message, noteRefusal) };
      } catch (error) {
        throw noteRefusal(error);
      }
    },
  };
}

/** PUBLIC methods ignore tokens. */
function needsToken(method: DescMethod): boolean {
  return getOption(method, access) !== Access.PUBLIC;
}

/**
 * Whether a retry is safe: by the schema's idempotency level, by an idempotency key (CreateOrder, CreateProduct ...), or for RefreshToken,
 * which returns the same response for ten seconds.
 */
function isRetryable(method: DescMethod): boolean {
  return (
    method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN ||
    hasRequestId(method.input) ||
    method === UserService.method.refreshToken
  );
}

/** Whether requests have an idempotency key (AIP-155). */
function hasRequestId({ field }: DescMessage): boolean {
  return field.requestId?.scalar === ScalarType.STRING;
}

/** Adds an idempotency key to a request that can have one and has none, so that all attempts of a call have one effect. */
function withRequestId<Request extends Message>(schema: DescMessage, request: Request, header: Headers): Request {
  const hasOne = (request as { requestId?: string }).requestId || header.has("idempotency-key");
  return !hasRequestId(schema) || hasOne ? request : { ...request, requestId: randomId() };
}

/** 128 random bits. crypto.randomUUID does not exist in pages without TLS. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A signal that aborts with DEADLINE_EXCEEDED after `timeoutMs` (0: never), or when the caller's own aborts. */
function startDeadline(timeoutMs: number, callers: AbortSignal | undefined) {
  const controller = new AbortController();
  const isBounded = timeoutMs > 0;
  const endsAt = performance.now() + timeoutMs;
  const exceeded = () => controller.abort(new ConnectError("the deadline has passed", Code.DeadlineExceeded));
  const timer = isBounded ? setTimeout(exceeded, timeoutMs) : undefined;
  return {
    signal: callers === undefined ? controller.signal : AbortSignal.any([callers, controller.signal]),
    /** The remaining time, at least 1; undefined without a deadline. */
    leftMs: () => (isBounded ? Math.max(1, Math.ceil(endsAt - performance.now())) : undefined),
    clear: () => clearTimeout(timer),
  };
}

async function* mapError<T>(messages: AsyncIterable<T>, toError: (error: unknown) => unknown): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    throw toError(error);
  }
}
