import type { IncomingHttpHeaders } from "node:http";
import type { DescMessage, DescMethod, DescMethodUnary, Message, MessageShape } from "@bufbuild/protobuf";
import type { RestTarget } from "@shop/rest";
import type { CallRules } from "../pipeline/router-options.ts";

/** Looks up cached answers of a method. */
export interface CachedAnswers {
  readonly method: DescMethod;
  find(request: Message): Message | undefined;
}

/**
 * Declares that answers of a PUBLIC read may be available synchronously, for example from a cache. `find` gets valid requests
 * only, and returns undefined if the method has to run.
 */
export function cachedAnswers<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  find: (request: MessageShape<Input>) => MessageShape<Output> | undefined,
): CachedAnswers {
  return { method, find: find as CachedAnswers["find"] };
}

/**
 * The cached answer to a request, if the request is valid and an answer is cached; otherwise undefined, and the method has to
 * be invoked.
 */
export type FindCachedAnswer = (method: DescMethod, request: Message) => Message | undefined;

/**
 * Builds the lookup of cached answers. A hit has been validated and is counted as a call. The other stages are skipped: these
 * methods are PUBLIC, and deadlines, errors and text normalization have nothing to do for a cached answer.
 *
 * @throws Error for a method that is not a PUBLIC read
 */
export function createFindCachedAnswer(
  all: readonly CachedAnswers[],
  { metrics, isPublicRead, validator }: Required<Pick<CallRules, "isPublicRead" | "validator" | "metrics">>,
): FindCachedAnswer {
  const finders = new Map(all.map(({ method, find }) => [method, find]));
  for (const method of finders.keys())
    if (!isPublicRead(method)) throw new Error(`${method.name} is not a PUBLIC read`);
  return (method, request) => {
    const find = finders.get(method);
    if (find === undefined || validator.validate(method.input, request).kind !== "valid") return undefined;
    const startedAt = performance.now();
    const answer = find(request);
    if (answer !== undefined)
      metrics?.called(`${method.parent.typeName}/${method.name}`, "ok", (performance.now() - startedAt) / 1000);
    return answer;
  };
}

/** The cached answer to a REST request without a body, whose message is complete in the request line. */
export function cachedRestAnswer(
  find: FindCachedAnswer,
  headers: IncomingHttpHeaders,
  { match, message }: RestTarget,
): Message | undefined {
  if (message === undefined || match.kind !== "match") return undefined;
  // The transcoder validates deadlines.
  return "connect-timeout-ms" in headers ? undefined : find(match.route.method, message);
}
