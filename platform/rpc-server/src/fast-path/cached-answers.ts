import type { DescMessage, DescMethod, DescMethodUnary, Message, MessageShape } from "@bufbuild/protobuf";
import type { CallRules } from "../pipeline/router-options.ts";

/** How to find answers of a method that are there already. */
export interface CachedAnswers {
  readonly method: DescMethod;
  find(request: Message): Message | undefined;
}

/**
 * Says that answers of a read that anybody may make can be there without waiting for anything, as in a cache; `find` answers
 * undefined for what has to be made. It is asked with requests that are valid.
 */
export function cachedAnswers<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  find: (request: MessageShape<Input>) => MessageShape<Output> | undefined,
): CachedAnswers {
  return { method, find: find as CachedAnswers["find"] };
}

/** The answer to a request that is there already, if the request is valid; undefined when the whole way has to be gone. */
export type FindCachedAnswer = (method: DescMethod, request: Message) => Message | undefined;

/**
 * What is found here has passed validation, and is counted; of the other stages, authorization lets everyone call these
 * methods, and the rest has nothing to do for an answer that is there.
 *
 * @throws Error for a method that not everybody may call, or that is no read
 */
export function createFindCachedAnswer(
  all: readonly CachedAnswers[],
  { metrics, isPublicRead, validator }: Required<Pick<CallRules, "isPublicRead" | "validator" | "metrics">>,
): FindCachedAnswer {
  const finders = new Map(all.map(({ method, find }) => [method, find]));
  for (const method of finders.keys())
    if (!isPublicRead(method)) throw new Error(`${method.name} is no read that anybody may make`);
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
