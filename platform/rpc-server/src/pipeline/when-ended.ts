import type { Interceptor } from "@connectrpc/connect";

type Next = Parameters<Interceptor>[0];
type Request = Parameters<Next>[0];
type Response = Awaited<ReturnType<Next>>;

/** Makes a call, and calls `ended` when its answer (also a stream) has ended, with the error if it failed. */
export async function whenEnded(next: Next, request: Request, ended: (error?: unknown) => void): Promise<Response> {
  try {
    const response = await next(request);
    if (response.stream) return { ...response, message: untilEnd(response.message, ended) };
    ended();
    return response;
  } catch (error) {
    ended(error);
    throw error;
  }
}

// A stream fails while it is read, after `next` has returned.
async function* untilEnd<Message>(
  messages: AsyncIterable<Message>,
  ended: (error?: unknown) => void,
): AsyncIterable<Message> {
  try {
    yield* messages;
    ended();
  } catch (error) {
    ended(error);
    throw error;
  }
}
