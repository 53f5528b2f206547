import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect } from "vitest";
import { linesOf } from "./clients.ts";
import { shop } from "./shopping.ts";

/** A parameter of an operation, with its reference followed. */
export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly schema: JsonObject;
  readonly examples?: Examples;
}

type Examples = Readonly<Record<string, { readonly summary: string; readonly value: JsonValue }>>;

interface Content {
  readonly schema?: JsonObject;
  readonly examples?: Examples;
}

interface Response {
  readonly headers?: Readonly<Record<string, JsonObject>>;
  readonly content: Readonly<Record<string, Content>>;
}

/** An operation of the document, with its references to parameters and responses followed. */
export interface Operation {
  readonly id: string;
  readonly httpMethod: string;
  readonly path: string;
  /** Its position in the document, as a JSON Pointer. */
  readonly pointer: string;
  readonly security: readonly JsonObject[];
  readonly parameters: readonly Parameter[];
  readonly body: { readonly required: boolean; readonly schema: JsonObject; readonly examples: Examples } | undefined;
  readonly responses: Readonly<Record<string, Response>>;
  /** The reasons in the responses, with their status. */
  readonly reasons: ReadonlyMap<string, number>;
}

/** The parts of a request besides its operation. */
export interface Parts {
  /** By the place and the name of a parameter: `path product_id`. */
  readonly parameters: Readonly<Record<string, JsonValue>>;
  readonly body?: JsonValue;
}

/** The response; of a stream the first line. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: JsonValue;
}

/** The description that the public port serves, with requests and checks derived from it alone. */
export class OpenApi {
  readonly document: JsonObject;
  readonly operations: readonly Operation[];
  readonly #ajv: Ajv2020;
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: JsonObject) {
    this.document = document;
    this.operations = Object.entries(document.paths as Record<string, Record<string, JsonObject>>).flatMap(
      ([path, item]) => Object.entries(item).map(([verb, operation]) => this.#operation(path, verb, operation)),
    );
    this.#ajv = addFormats.default(new Ajv2020({ strict: false, allErrors: true, validateSchema: false }));
    this.#ajv.addSchema(closed(document) as object, "openapi");
  }

  /** The target of a reference in the document; the value itself if it is not a reference. */
  resolve(json: JsonObject): JsonObject {
    if (typeof json.$ref !== "string") return json;
    const steps = json.$ref.slice(2).split("/");
    return steps.reduce((at, step) => at[step] as JsonObject, this.document);
  }

  /** The errors of a value by the schema at a JSON Pointer of the document; empty when it is valid. */
  problems(pointer: string, value: JsonValue): string[] {
    const known = this.#validators.get(pointer);
    const validate = known ?? this.#ajv.compile({ $ref: `openapi#${pointer}` });
    this.#validators.set(pointer, validate);
    if (validate(value)) return [];
    return validate.errors!.map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }

  /** The errors of a request by the schemas of its operation. */
  requestProblems({ parameters, body, pointer }: Operation, parts: Parts): string[] {
    const wrong = parameters.flatMap((parameter, index) => {
      const value = parts.parameters[`${parameter.in} ${parameter.name}`];
      if (value === undefined) return parameter.required ? [`${parameter.name} is missing`] : [];
      if (parameter.in === "header") return [];
      return this.problems(`${pointer}/parameters/${index}/schema`, value).map((text) => `${parameter.name}: ${text}`);
    });
    if (body === undefined) return wrong;
    if (parts.body === undefined) return body.required ? [...wrong, "the body is missing"] : wrong;
    return [...wrong, ...this.problems(`${pointer}/requestBody/content/application~1json/schema`, parts.body)];
  }

  /** Sends a request for the operation. */
  async ask(operation: Operation, parts: Parts, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const query = new URLSearchParams();
    let path = operation.path;
    for (const parameter of operation.parameters) {
      const value = parts.parameters[`${parameter.in} ${parameter.name}`];
      if (value === undefined) continue;
      if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, () => encodeURIComponent(String(value)));
      if (parameter.in === "query") for (const one of [value].flat()) query.append(parameter.name, String(one));
    }
    const response = await fetch(`${shop.url}${path}${query.size === 0 ? "" : `?${query}`}`, {
      method: operation.httpMethod,
      headers: { ...headers, ...(parts.body === undefined ? {} : { "content-type": "application/json" }) },
      ...(parts.body === undefined ? {} : { body: JSON.stringify(parts.body) }),
    });
    return { status: response.status, headers: response.headers, json: await firstJson(response) };
  }

  /** Fails unless the operation has such an answer: status, content type, required headers, reason and body. */
  expectDescribed({ id, responses, pointer }: Operation, { status, headers, json }: Answer): void {
    const described = responses[status];
    const says = `${id} answered ${status} ${JSON.stringify(json).slice(0, 500)}`;
    expect(described, says).toBeDefined();
    const contentType = headers.get("content-type")!;
    expect(Object.keys(described!.content), says).toContain(contentType);
    for (const [name, header] of Object.entries(described!.headers ?? {})) {
      if (this.resolve(header).required) expect(headers.has(name), `${says}, without ${name}`).toBe(true);
    }
    const { $ref } = this.#responsesOf(pointer)[status]!;
    const place = typeof $ref === "string" ? $ref.slice(1) : `${pointer}/responses/${status}`;
    const schema = `${place}/content/${contentType.replaceAll("/", "~1")}/schema`;
    expect(this.problems(schema, json), says).toEqual([]);
  }

  #responsesOf(pointer: string): Record<string, JsonObject> {
    const [, , path, verb] = pointer.split("/");
    const item = (this.document.paths as Record<string, Record<string, JsonObject>>)[path!.replaceAll("~1", "/")]!;
    return item[verb!]!.responses as Record<string, JsonObject>;
  }

  #operation(path: string, verb: string, operation: JsonObject): Operation {
    const body = operation.requestBody as JsonObject | undefined;
    const json = (body?.content as Record<string, Content> | undefined)?.["application/json"];
    const responses = Object.entries(operation.responses as Record<string, JsonObject>);
    return {
      id: operation.operationId as string,
      httpMethod: verb.toUpperCase(),
      path,
      pointer: `/paths/${path.replaceAll("/", "~1")}/${verb}`,
      security: operation.security as JsonObject[],
      parameters: (operation.parameters as JsonObject[]).map((one) => this.resolve(one) as unknown as Parameter),
      body: json && { required: body!.required === true, schema: json.schema!, examples: json.examples ?? {} },
      responses: Object.fromEntries(
        // Responses without a body, such as 304, have no content.
        responses.map(([status, one]) => [status, { content: {}, ...this.resolve(one) } as unknown as Response]),
      ),
      reasons: new Map(responses.flatMap(([status, one]) => reasonsOf(one).map((reason) => [reason, Number(status)]))),
    };
  }
}

function reasonsOf(response: JsonObject): string[] {
  const [, found] = /"reason":\{"enum":(\[[^\]]*\])\}/.exec(JSON.stringify(response)) ?? [];
  return found === undefined ? [] : (JSON.parse(found) as string[]);
}

/** The current description of the public port. */
export async function readOpenApi(): Promise<OpenApi> {
  return new OpenApi((await (await fetch(`${shop.url}/openapi.json`)).json()) as JsonObject);
}

/** The request of an example, whose parts have the same example name. */
export function exampleRequest({ parameters, body }: Operation, name: string): Parts {
  const given = parameters.flatMap((parameter): [string, JsonValue][] => {
    const example = parameter.examples?.[name];
    return example === undefined ? [] : [[`${parameter.in} ${parameter.name}`, example.value]];
  });
  const example = body?.examples[name];
  return { parameters: Object.fromEntries(given), ...(example && { body: example.value }) };
}

async function firstJson(response: globalThis.Response): Promise<JsonValue> {
  if (response.headers.get("content-type") !== "application/x-ndjson") return (await response.json()) as JsonValue;
  for await (const line of linesOf(response.body!)) return JSON.parse(line) as JsonValue;
  throw new Error("the stream ended before its first line");
}

/** Closes a response's schema: clients have to accept new fields, but this test wants each to be described. */
function closed(json: JsonValue): JsonValue {
  if (Array.isArray(json)) return json.map(closed);
  if (json === null || typeof json !== "object") return json;
  const mapped = Object.fromEntries(Object.entries(json).map(([name, value]) => [name, closed(value)]));
  const isObject = json.type === "object" && json.properties !== undefined && json.additionalProperties === undefined;
  return isObject ? { ...mapped, additionalProperties: false } : mapped;
}
