import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext, type Transport } from "@connectrpc/connect";
import { boundedError, isForwarded, once } from "@shop/rest";

/**
 * Registers each of these methods with a handler that makes the same call through a transport. Headers, trailers, error details
 * and deadline are passed on.
 */
export function registerNewCalls(methods: readonly DescMethod[], transport: () => Promise<Transport>) {
  return (router: ConnectRouter): void => {
    for (const method of methods) register(router, method, transport);
  };
}

function register(router: ConnectRouter, method: DescMethod, transport: () => Promise<Transport>): void {
  async function one(message: Message, context: HandlerContext): Promise<Message> {
    const unary = method as DescMethodUnary;
    const answer = await withoutConnectionHeaders(async () =>
      (await transport()).unary(unary, context.signal, context.timeoutMs(), headersOf(context), message),
    );
    pass(answer.header, context.responseHeader);
    pass(answer.trailer, context.responseTrailer);
    return answer.message;
  }
  async function* many(messages: AsyncIterable<Message>, context: HandlerContext): AsyncIterable<Message> {
    const streaming = method as DescMethodStreaming;
    const answer = await withoutConnectionHeaders(async () =>
      (await transport()).stream(streaming, context.signal, context.timeoutMs(), headersOf(context), messages),
    );
    pass(answer.header, context.responseHeader);
    try {
      yield* answer.message;
    } catch (error) {
      throw cleanError(error);
    }
    pass(answer.trailer, context.responseTrailer);
  }
  async function only(messages: AsyncIterable<Message>, context: HandlerContext): Promise<Message> {
    let answer: Message | undefined;
    // Read to the end: trailers follow the message.
    for await (const message of many(messages, context)) answer = message;
    if (answer === undefined) throw new ConnectError("the service gave no answer", Code.Internal);
    return answer;
  }
  switch (method.methodKind) {
    case "unary":
      router.rpc(method as DescMethodUnary, one);
      return;
    case "server_streaming":
      router.rpc(method as DescMethodServerStreaming, (message, context) => many(once(message), context));
      return;
    case "client_streaming":
      router.rpc(method as DescMethodClientStreaming, only);
      return;
    case "bidi_streaming":
      router.rpc(method as DescMethodBiDiStreaming, many);
  }
}

function headersOf({ requestHeader }: HandlerContext): Headers {
  const headers = new Headers();
  pass(requestHeader, headers);
  return headers;
}

function pass(from: Headers, to: Headers): void {
  for (const [name, value] of from) if (isForwarded(name)) to.append(name, value);
}

async function withoutConnectionHeaders<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    throw cleanError(error);
  }
}

/** Removes hop-by-hop and framing headers from an error's metadata, which would break the new answer. */
function cleanError(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  const metadata = new Headers();
  pass(error.metadata, metadata);
  const cleaned = new ConnectError(error.rawMessage, error.code, metadata, undefined, error.cause);
  cleaned.details = error.details;
  return boundedError(cleaned);
}
