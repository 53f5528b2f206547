import {
  clone,
  type DescExtension,
  type DescFile,
  type DescMethod,
  type DescService,
  toBinary,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "@shop/gen/google/rpc/error_details_pb";
import { ServerReflection, type ServerReflectionRequest } from "@shop/gen/grpc/reflection/v1/reflection_pb";
import {
  type ServerReflectionRequest as ServerReflectionRequestV1Alpha,
  ServerReflection as ServerReflectionV1Alpha,
} from "@shop/gen/grpc/reflection/v1alpha/reflection_pb";
import { cutText } from "@shop/rest";
import { usedTypes } from "./used-types.ts";

/** The services of reflection itself. */
export const reflectionServices: readonly DescService[] = [ServerReflection, ServerReflectionV1Alpha];

/** Both versions have the same messages under different names. */
type Answer =
  | { readonly case: "listServicesResponse"; readonly value: { readonly service: { readonly name: string }[] } }
  | { readonly case: "fileDescriptorResponse"; readonly value: { readonly fileDescriptorProto: Uint8Array[] } }
  | {
      readonly case: "allExtensionNumbersResponse";
      readonly value: { readonly baseTypeName: string; readonly extensionNumber: number[] };
    }
  | { readonly case: "errorResponse"; readonly value: { readonly errorCode: Code; readonly errorMessage: string } };
type Question = ServerReflectionRequest["messageRequest"] | ServerReflectionRequestV1Alpha["messageRequest"];

/**
 * gRPC server reflection (v1 and v1alpha) for exactly these services. Methods that were removed from a service, and types that
 * only those use, are not disclosed.
 */
export function reflectionRoutes(services: readonly DescService[]): (router: ConnectRouter) => void {
  const schema = new ShownSchema(services);
  async function* serverReflectionInfo<Request extends ServerReflectionRequest | ServerReflectionRequestV1Alpha>(
    requests: AsyncIterable<Request>,
  ) {
    const sent = new Set<DescFile>();
    for await (const request of requests) {
      const messageResponse = answer(schema, request.messageRequest, sent);
      yield { validHost: request.host, originalRequest: request, messageResponse };
    }
  }
  return (router) => {
    router.service(ServerReflection, { serverReflectionInfo });
    router.service(ServerReflectionV1Alpha, { serverReflectionInfo });
  };
}

/** @param sent files that the caller already has */
function answer(schema: ShownSchema, question: Question, sent: Set<DescFile>): Answer {
  switch (question.case) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: schema.serviceNames.map((name) => ({ name })) } };
    case "fileByFilename":
      return files(schema, schema.fileNamed(question.value), sent, `file ${question.value}`);
    case "fileContainingSymbol":
      return files(schema, schema.fileOf(question.value), sent, `symbol ${question.value}`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = question.value;
      const extension = schema.extensionsOf(containingType).find(({ number }) => number === extensionNumber);
      return files(schema, extension?.file, sent, `extension ${extensionNumber} of ${containingType}`);
    }
    case "allExtensionNumbersOfType": {
      if (schema.fileOf(question.value) === undefined) return notFound(`type ${question.value}`);
      const extensionNumber = schema.extensionsOf(question.value).map(({ number }) => number);
      return { case: "allExtensionNumbersResponse", value: { baseTypeName: question.value, extensionNumber } };
    }
    default:
      return failure(Code.InvalidArgument, "the request asks nothing");
  }
}

/** A file with its imports, except files already sent: some clients request each import, others never do. */
function files(schema: ShownSchema, file: DescFile | undefined, sent: Set<DescFile>, what: string): Answer {
  if (file === undefined) return notFound(what);
  const fileDescriptorProto: Uint8Array[] = [];
  const add = (next: DescFile) => {
    sent.add(next);
    fileDescriptorProto.push(schema.bytesOf(next));
    for (const dependency of next.dependencies) if (!sent.has(dependency)) add(dependency);
  };
  add(file);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function notFound(what: string): Answer {
  return failure(Code.NotFound, `there is no ${cutText(what)}`);
}

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

/** The files of services, without the hidden methods and types. */
class ShownSchema {
  readonly serviceNames: readonly string[];
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  readonly #extensions = new Map<string, DescExtension[]>();
  readonly #shownMethods: ReadonlySet<DescMethod>;
  readonly #hiddenTypes: ReadonlySet<string>;
  readonly #bytes = new Map<DescFile, Uint8Array>();

  constructor(services: readonly DescService[]) {
    this.serviceNames = services.map(({ typeName }) => typeName).toSorted();
    this.#shownMethods = new Set(services.flatMap(({ methods }) => methods));
    for (const { file } of services) this.#addFile(file);
    // No method refers to the types of error details; without them a client's tool shows bytes.
    this.#addFile(file_google_rpc_error_details);
    this.#hiddenTypes = this.#findHiddenTypes();
    for (const file of this.#files.values()) this.#index(file);
  }

  fileNamed(name: string): DescFile | undefined {
    return this.#files.get(name);
  }

  fileOf(symbol: string): DescFile | undefined {
    return this.#symbols.get(symbol);
  }

  extensionsOf(typeName: string): readonly DescExtension[] {
    return this.#extensions.get(typeName) ?? [];
  }

  bytesOf(file: DescFile): Uint8Array {
    const bytes = this.#bytes.get(file) ?? toBinary(FileDescriptorProtoSchema, this.#shown(file));
    this.#bytes.set(file, bytes);
    return bytes;
  }

  #addFile(file: DescFile): void {
    if (this.#files.has(file.proto.name)) return;
    this.#files.set(file.proto.name, file);
    for (const dependency of file.dependencies) this.#addFile(dependency);
  }

  #methodsOf(service: DescService): DescMethod[] {
    return service.methods.filter((method) => this.#shownMethods.has(method));
  }

  /** Top-level messages and enums that only hidden methods use. */
  #findHiddenTypes(): ReadonlySet<string> {
    const everything = [...this.#files.values()];
    const methods = everything.flatMap((file) => file.services.flatMap((service) => service.methods));
    const ends = (method: DescMethod) => [method.input, method.output];
    const suspects = usedTypes(methods.filter((method) => !this.#shownMethods.has(method)).flatMap(ends));
    const innocent = everything.flatMap((file) => file.messages).filter(({ typeName }) => !suspects.has(typeName));
    const kept = usedTypes([...methods.filter((method) => this.#shownMethods.has(method)).flatMap(ends), ...innocent]);
    return suspects.difference(kept);
  }

  #index(file: DescFile): void {
    for (const type of nestedTypes(file)) {
      if (type.kind === "service") {
        const methods = this.#methodsOf(type);
        if (methods.length > 0) this.#symbols.set(type.typeName, file);
        for (const { name } of methods) this.#symbols.set(`${type.typeName}.${name}`, file);
      } else if (!this.#isHidden(type.typeName)) {
        this.#symbols.set(type.typeName, file);
        if (type.kind === "extension") {
          const extensions = this.#extensions.get(type.extendee.typeName) ?? [];
          this.#extensions.set(type.extendee.typeName, [...extensions, type]);
        }
      }
    }
  }

  /** @param typeName may be of a nested type */
  #isHidden(typeName: string): boolean {
    return [...this.#hiddenTypes].some((hidden) => typeName === hidden || typeName.startsWith(`${hidden}.`));
  }

  #shown(file: DescFile): FileDescriptorProto {
    const isShown = (desc: { readonly typeName: string }) => !this.#hiddenTypes.has(desc.typeName);
    const methods = file.services.map((service) => this.#methodsOf(service));
    const isWhole =
      file.services.every((service, index) => service.methods.length === methods[index]!.length) &&
      [...file.messages, ...file.enums].every(isShown);
    if (isWhole) return file.proto;
    const proto = clone(FileDescriptorProtoSchema, file.proto);
    // Source info refers to descriptors by index, and indexes change.
    delete proto.sourceCodeInfo;
    proto.messageType = proto.messageType.filter((_, index) => isShown(file.messages[index]!));
    proto.enumType = proto.enumType.filter((_, index) => isShown(file.enums[index]!));
    for (const [index, service] of proto.service.entries()) {
      const names = new Set(methods[index]!.map(({ name }) => name));
      service.method = service.method.filter(({ name }) => names.has(name));
    }
    proto.service = proto.service.filter(({ method }) => method.length > 0);
    return proto;
  }
}
