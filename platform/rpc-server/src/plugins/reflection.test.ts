import { create, type DescService, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import {
  ExtensionRequestSchema,
  ServerReflection,
  type ServerReflectionRequest,
} from "@shop/gen/grpc/reflection/v1/reflection_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { expect, test } from "vitest";
import { reflectionRoutes } from "./reflection.ts";

/** As a public port exposes a service with an INTERNAL method. */
const shown: DescService = {
  ...DeadLetterService,
  methods: DeadLetterService.methods.filter(({ name }) => name !== "RedriveDeadLetter"),
};

async function ask(services: readonly DescService[], messageRequest: ServerReflectionRequest["messageRequest"]) {
  const client = createClient(ServerReflection, createRouterTransport(reflectionRoutes(services)));
  async function* once() {
    yield { messageRequest };
  }
  const [answer] = await Array.fromAsync(client.serverReflectionInfo(once()));
  return answer!.messageResponse;
}

const symbol = (value: string) => ({ case: "fileContainingSymbol", value }) as const;

async function filesWith(services: readonly DescService[], name: string) {
  const { case: kind, value } = await ask(services, symbol(name));
  if (kind !== "fileDescriptorResponse") throw new Error(`${name}: ${kind}`);
  return value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

test("a file is sent with all its imports", async () => {
  const files = await filesWith([DeadLetterService], DeadLetterService.typeName);
  const names = new Set(files.map(({ name }) => name));
  expect(names.size).toBe(files.length);
  for (const { dependency } of files) for (const name of dependency) expect(names).toContain(name);
});

test("the types of error details are included, though no method refers to them", async () => {
  for (const name of ["ErrorInfo", "BadRequest", "RetryInfo"]) {
    const [file] = await filesWith([DeadLetterService], `google.rpc.${name}`);
    expect(file!.messageType.map((type) => type.name)).toContain(name);
  }
});

test("a hidden method is not disclosed, nor are types that only it uses", async () => {
  const [whole] = await filesWith([DeadLetterService], DeadLetterService.typeName);
  const [part] = await filesWith([shown], DeadLetterService.typeName);
  const methods = (file: typeof part) => file!.service.flatMap(({ method }) => method.map(({ name }) => name));
  const types = (file: typeof part) => file!.messageType.map(({ name }) => name);
  expect(methods(whole)).toContain("RedriveDeadLetter");
  expect(types(whole)).toContain("RedriveDeadLetterRequest");
  expect(methods(part)).toEqual(methods(whole).filter((name) => name !== "RedriveDeadLetter"));
  expect(types(part)).toEqual(types(whole).filter((name) => !name.startsWith("RedriveDeadLetter")));
  for (const hidden of [`${shown.typeName}.RedriveDeadLetter`, "shop.common.v1.RedriveDeadLetterRequest"])
    expect(await ask([shown], symbol(hidden))).toMatchObject({
      case: "errorResponse",
      value: { errorCode: Code.NotFound },
    });
});

test("a service in the same files that the port does not expose is not disclosed", async () => {
  const other: DescService = { ...DeadLetterService, methods: [] };
  expect(await ask([other], symbol(DeadLetterService.typeName))).toMatchObject({ case: "errorResponse" });
});

test("extensions are found by number", async () => {
  const numbers = await ask([shown], { case: "allExtensionNumbersOfType", value: "google.protobuf.MethodOptions" });
  const { extensionNumber } = numbers.value as { extensionNumber: number[] };
  expect(extensionNumber).toContain(72295728);
  const value = create(ExtensionRequestSchema, {
    containingType: "google.protobuf.MethodOptions",
    extensionNumber: 72295728,
  });
  const found = await ask([shown], { case: "fileContainingExtension", value });
  expect(found.case).toBe("fileDescriptorResponse");
});
