import { randomBytes } from "node:crypto";
import type {
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  JsonObject,
  JsonValue,
} from "@bufbuild/protobuf";
import { expect } from "vitest";

// Types of the files in a service's contract/ folder: for each method its access rule, its REST route, cases and examples. The
// end-to-end tests run all of them in every protocol (e2e/method-table.ts), and gen/openapi.json shows the examples.

/**
 * A caller. `owner` is the customer whose data the test world holds, `customer` another one, `leaver` a new one at each call.
 * `forger` sends a token with an invalid signature; `platform` and `starter` send the credentials of orders and of
 * `npm start`.
 */
export type Caller = "anonymous" | "forger" | "owner" | "customer" | "leaver" | "admin" | "platform" | "starter";

/** A unary or server-streaming method. */
export type AnyMethod = DescMethodUnary | DescMethodServerStreaming;

/** The error of a call, in every protocol. */
export interface ExpectedError {
  /** The name of the code, as in "NotFound". */
  readonly code: string;
  /** ErrorInfo.reason. */
  readonly reason: string;
  /** The fields that BadRequest names, by their names in the proto file. */
  readonly violations?: readonly string[];
}

/** One call and its expected result. All JSON is canonical protobuf JSON. */
export interface Case<World> {
  readonly as: Caller;
  /** The guarantee, as in "does not find an unknown order". */
  readonly says: string;
  request(world: World): JsonObject | Promise<JsonObject>;
  /** The whole response message; the first one of a stream. */
  answers?(world: World, request: JsonObject): JsonValue;
  readonly refuses?: ExpectedError;
}

/** A REST request, and the field of the response message that is its response body (the whole message if absent). */
export interface RestCall {
  readonly verb: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: JsonObject;
  readonly body?: JsonObject;
  readonly answers?: string;
}

/** A call in the documentation: JSON with the names of the proto file. */
export interface ContractExample {
  /** Its position in the sequence of all services' examples, which a test runs in order. */
  readonly step: number;
  /** Unique within its method. */
  readonly name: string;
  readonly summary: string;
  /** An anonymous caller if absent. */
  readonly as?: "shopper" | "admin";
  readonly request: JsonObject;
  /** 200 if absent. */
  readonly status?: number;
  readonly answer: JsonObject;
}

/** The guarantees of a method. */
export interface MethodContract<World> {
  /** Its access rule: written by hand, so that the schema's is checked against it. */
  readonly access: "PUBLIC" | "AUTHENTICATED" | "ADMIN" | "INTERNAL";
  /**
   * Its REST request, by hand as well, to check the annotations. Takes the request as JSON with the names of the proto
   * file.
   */
  rest(request: JsonObject): RestCall;
  /** An invalid request, so that a call that passes authorization changes nothing. Empty for requests without fields. */
  readonly invalid: JsonObject;
  /** Each has its own line in the test report. At least one succeeds. */
  readonly cases: readonly Case<World>[];
  /** Empty for methods that are not on the public port. */
  readonly examples: readonly ContractExample[];
}

/** The names of unary and server-streaming methods: the others have neither REST nor a browser client. */
type Callable<Methods extends DescService["method"]> = {
  [Name in keyof Methods]: Methods[Name]["methodKind"] extends "unary" | "server_streaming" ? Name : never;
}[keyof Methods];

/** The guarantees of a service: a missing method is a type error. */
export interface ServiceContract<Service extends DescService, World> {
  readonly service: Service;
  readonly methods: { readonly [Name in Callable<Service["method"]>]: MethodContract<World> };
}

/** A text unique to this test and run, short enough to be part of any name. */
export function unique(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString("hex")}`;
}

/** Matches any time in protobuf JSON. */
export const time: string = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);

/** Matches any id of a kind. */
export function idOf(kind: string): string {
  return expect.stringMatching(new RegExp(`^${kind}_[0-7][0-9a-hjkmnp-tv-z]{25}$`));
}

/** An id that does not exist. */
export function unknown(kind: string): string {
  return `${kind}_01h455vb4pex5vsknk084sn02q`;
}

/** The error for fields that violate a rule. */
export function invalid(...violations: string[]): ExpectedError {
  return { code: "InvalidArgument", reason: "INVALID_FIELDS", violations };
}

/** The error for a resource that does not exist or belongs to another user. */
export function notFound(reason: string): ExpectedError {
  return { code: "NotFound", reason };
}
