import { create, type DescMessage, type DescMethod, getOption, type Message, ScalarType } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { isLost, isUnauthenticated, retryAfterMs } from "./errors.ts";
import { pause, pauseMs, unlessAborted } from "./pause.ts";

/** How long a call may take, and how often it is made. */
export interface CallRules {
  /** The deadline of a call that brings none, in milliseconds, with all its attempts and pauses. Streams have none. */
  readonly timeoutMs: number;
  /** How often a call is made at most. */
  readonly attempts: number;
}

export const defaultCallRules: CallRules = { timeoutMs: 10_000, attempts: 4 };

/** Who calls, as far as a call has to know. */
export interface Caller {
  /** Undefined while nobody is signed in. */
  readonly userId: string | undefined;
  /** A token that proves to be that user. Throws UNAUTHENTICATED when they are not signed in any more. */
  accessTokenOf(userId: string): Promise<string>;
  /** The token was refused: the next one is to be another. */
  refused(accessToken: string): void;
}

/**
 * The transport, with what a call needs: a deadline; the access token of who is signed in, and the next one when it is refused;
 * and another attempt where that can do no harm, which is after a lost answer or when the server asks for it, for methods that
 * can be repeated. A call is made as the user who was signed in when it began, or not at all.
 */
export function withCallRules(transport: Transport, caller: Caller | undefined, rules: CallRules): Transport {
  const callerOf = (method: DescMethod, header: Headers) =>
    needsToken(method) && !header.has("authorization") ? caller?.userId : undefined;

  return {
    async unary(method, givenSignal, timeoutMs, givenHeader, input, contextValues) {
      const header = new Headers(givenHeader);
      const message = nameRequest(method.input, create(method.input, input), header);
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
            // Access is checked before anything else is done: any method can be repeated after that.
            if (token && isUnauthenticated(error) && !wasRefused) {
              wasRefused = true;
              caller!.refused(token);
              continue;
            }
            const mayHelp = isLost(error) || retryAfterMs(error) !== undefined;
            if (!isRepeatable(method) || !mayHelp || attempt >= rules.attempts) throw error;
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

/** PUBLIC methods are anybody's, and look at no token. */
function needsToken(method: DescMethod): boolean {
  return getOption(method, access) !== Access.PUBLIC;
}

/**
 * Whether the method can be made twice without harm: the schema says so; or the call has a name (CreateOrder, CreateProduct ...); or the same
 * answer comes again (RefreshToken, for ten seconds).
 */
function isRepeatable(method: DescMethod): boolean {
  return (
    method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN ||
    hasName(method.input) ||
    method === UserService.method.refreshToken
  );
}

/** Whether requests have names (AIP-155). */
function hasName({ field }: DescMessage): boolean {
  return field.requestId?.scalar === ScalarType.STRING;
}

/** Gives a request that could have a name, and has none, one: all attempts of a call then have one effect. */
function nameRequest<Request extends Message>(schema: DescMessage, request: Request, header: Headers): Request {
  const isNamed = (request as { requestId?: string }).requestId || header.has("idempotency-key");
  return !hasName(schema) || isNamed ? request : { ...request, requestId: randomName() };
}

/** 128 random bits. crypto.randomUUID is missing in pages that came without TLS. */
function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A signal that is aborted with DEADLINE_EXCEEDED after `timeoutMs` (0: never), and together with the caller's own. */
function startDeadline(timeoutMs: number, callers: AbortSignal | undefined) {
  const controller = new AbortController();
  const isBounded = timeoutMs > 0;
  const endsAt = performance.now() + timeoutMs;
  const exceeded = () => controller.abort(new ConnectError("the deadline has passed", Code.DeadlineExceeded));
  const timer = isBounded ? setTimeout(exceeded, timeoutMs) : undefined;
  return {
    signal: callers === undefined ? controller.signal : AbortSignal.any([callers, controller.signal]),
    /** What is left of it, in milliseconds and at least 1; undefined without a deadline. */
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
