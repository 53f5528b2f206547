import { hasBody } from "@shop/http-port";
import { answerNodeRequest, handleNodeRequest, type Transcoder } from "@shop/rest";
import { cachedRestAnswer, type FindCachedAnswer } from "../fast-path/cached-answers.ts";
import type { Forwarding } from "../forwarding.ts";
import { publicCaching } from "../pipeline/cacheable.ts";
import type { HoldCall, Protocol } from "./protocol.ts";

/** REST by google.api.http, for methods that are hosted here or whose upstream does not speak REST. */
export function restCalls(port: {
  readonly transcoder: Transcoder;
  readonly findCachedAnswer: FindCachedAnswer;
  readonly forwarding: Forwarding;
  readonly hold: HoldCall;
}): Protocol {
  const { transcoder, findCachedAnswer, forwarding, hold } = port;

  return {
    takes: ({ rest }, { source }) => rest !== undefined && source !== "stream",
    async answer(call, exchange) {
      const rest = call.rest!;
      const { request, response } = exchange.node();
      const isLookedUp = call.isHosted && !hasBody(request);
      const cached = isLookedUp ? cachedRestAnswer(findCachedAnswer, request.headers, rest) : undefined;
      if (cached !== undefined) {
        const result = { message: cached, header: undefined, trailer: undefined };
        answerNodeRequest(
          transcoder,
          request,
          response,
          { ...exchange.defaultHeaders, ...publicCaching },
          rest,
          result,
        );
        return;
      }
      if (!call.isHosted) forwarding.addForwardedHeaders(request);
      await handleNodeRequest(transcoder, request, response, exchange.defaultHeaders, rest, hold(call, exchange));
    },
  };
}
