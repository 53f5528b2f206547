import { setTimeout as delay } from "node:timers/promises";
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  ConformancePayload_RequestInfoSchema,
  type ConformanceService,
  type Error as ErrorDefinition,
  type Header,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

type RequestInfo = MessageShape<typeof ConformancePayload_RequestInfoSchema>;

/** The service under test, as specified by the comments of its proto. */
export const conformance: Partial<ServiceImpl<typeof ConformanceService>> = {
  unary: (request, context) => answerOnce(request.responseDefinition, [anyPack(UnaryRequestSchema, request)], context),

  idempotentUnary: (request, context) =>
    answerOnce(request.responseDefinition, [anyPack(IdempotentUnaryRequestSchema, request)], context),

  async clientStream(requests, context) {
    const all = await Array.fromAsync(requests);
    return answerOnce(all[0]?.responseDefinition, all.map(pack(ClientStreamRequestSchema)), context);
  },

  async *serverStream(request, context) {
    const definition = request.responseDefinition;
    announce(definition, context);
    const info = requestInfo(context, [anyPack(ServerStreamRequestSchema, request)]);
    yield* answers(definition, 0, info);
    fail(definition?.error, definition?.responseData.length === 0 ? info : undefined);
  },

  async *bidiStream(requests, context) {
    let definition: StreamResponseDefinition | undefined;
    let first = true;
    let fullDuplex = false;
    let sent = 0;
    let unanswered: Any[] = [];
    for await (const request of requests) {
      if (first) {
        first = false;
        definition = request.responseDefinition;
        fullDuplex = request.fullDuplex;
        announce(definition, context);
      }
      unanswered.push(anyPack(BidiStreamRequestSchema, request));
      if (!fullDuplex) continue;
      if (definition === undefined || sent >= definition.responseData.length) break;
      await delay(definition.responseDelayMs);
      yield { payload: { data: definition.responseData[sent++]!, requestInfo: requestInfo(context, unanswered) } };
      unanswered = [];
    }
    const info = requestInfo(context, unanswered);
    yield* answers(definition, sent, sent === 0 ? info : undefined);
    fail(definition?.error, definition?.responseData.length === 0 ? info : undefined);
  },
};

async function answerOnce(definition: UnaryResponseDefinition | undefined, requests: Any[], context: HandlerContext) {
  announce(definition, context);
  const info = requestInfo(context, requests);
  await delay(definition?.responseDelayMs ?? 0);
  if (definition?.response.case === "error") fail(definition.response.value, info);
  const data = definition?.response.case === "responseData" ? definition.response.value : new Uint8Array();
  return { payload: { data, requestInfo: info } };
}

async function* answers(definition: StreamResponseDefinition | undefined, from: number, info: RequestInfo | undefined) {
  for (const [index, data] of (definition?.responseData ?? []).entries()) {
    if (index < from) continue;
    await delay(definition!.responseDelayMs);
    yield { payload: index === from && info !== undefined ? { data, requestInfo: info } : { data } };
  }
}

function announce(
  definition: { responseHeaders: Header[]; responseTrailers: Header[] } | undefined,
  context: HandlerContext,
): void {
  append(context.responseHeader, definition?.responseHeaders ?? []);
  append(context.responseTrailer, definition?.responseTrailers ?? []);
}

function append(target: Headers, headers: readonly Header[]): void {
  for (const { name, value } of headers) for (const one of value) target.append(name, one);
}

function requestInfo(context: HandlerContext, requests: Any[]): RequestInfo {
  const timeout = context.timeoutMs();
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders: [...context.requestHeader].map(([name, value]) => ({ name, value: [value] })),
    requests,
    ...(timeout === undefined ? {} : { timeoutMs: BigInt(timeout) }),
  });
}

function fail(error: ErrorDefinition | undefined, info: RequestInfo | undefined): void {
  if (error === undefined) return;
  const given = error.details.map((any) => ({
    desc: ConformancePayload_RequestInfoSchema,
    value: anyUnpack(any, ConformancePayload_RequestInfoSchema)!,
  }));
  const added = info === undefined ? [] : [{ desc: ConformancePayload_RequestInfoSchema, value: info }];
  throw new ConnectError(error.message ?? "", error.code as number as Code, undefined, [...given, ...added]);
}

function pack<Desc extends DescMessage>(schema: Desc): (message: MessageShape<Desc>) => Any {
  return (message) => anyPack(schema, message);
}
