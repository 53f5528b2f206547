import { randomBytes } from "node:crypto";
import type {
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  JsonObject,
  JsonValue,
} from "@bufbuild/protobuf";
import { expect } from "vitest";

// What the contract/ folder of a service is made of: for each of its methods who may call it, how, and what comes of it. The
// end-to-end tests try all of it in every protocol (e2e/method-table.ts), and gen/openapi.json shows the examples.

/**
 * Who calls. `owner` is the customer that the world was made for, `customer` another one, `leaver` a new one at each call,
 * `forger` comes with a token that nobody signed, and `platform` and `starter` with the credentials of the service orders and of
 * `npm start`.
 */
export type Caller = "nobody" | "forger" | "owner" | "customer" | "leaver" | "admin" | "platform" | "starter";

/** A method that one request message calls. */
export type AnyMethod = DescMethodUnary | DescMethodServerStreaming;

/** How a call is refused, in every protocol. */
export interface ExpectedError {
  /** The name of the code, as in "NotFound". */
  readonly code: string;
  /** ErrorInfo.reason. */
  readonly reason: string;
  /** The fields that BadRequest blames, by their names in the proto file. */
  readonly violations?: readonly string[];
}

/** One call and what must come of it. All JSON is canonical protobuf JSON. */
export interface Case<World> {
  readonly as: Caller;
  /** What the method does then, as in "does not find an unknown order". */
  readonly says: string;
  request(world: World): JsonObject | Promise<JsonObject>;
  /** The whole response message; the first one of a stream. */
  answers?(world: World, request: JsonObject): JsonValue;
  readonly refuses?: ExpectedError;
}

/** A REST request, and the field of the method's response message that its answer is (the whole message if absent). */
export interface RestCall {
  readonly verb: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: JsonObject;
  readonly body?: JsonObject;
  readonly answers?: string;
}

/** A call as the documentation shows it: JSON with the names of the proto file. */
export interface ContractExample {
  /** Where it stands in the one story that the examples of all services tell, and in which a test tries them. */
  readonly step: number;
  /** Unique within its method. */
  readonly name: string;
  readonly summary: string;
  /** Somebody without an account if absent. */
  readonly as?: "shopper" | "admin";
  readonly request: JsonObject;
  /** 200 if absent. */
  readonly status?: number;
  readonly answer: JsonObject;
}

/** What is promised of a method. */
export interface MethodContract<World> {
  /** Who may call it: written by hand, so that the access rule of the schema is checked against it. */
  readonly callers: "anybody" | "accounts" | "admins" | "platform";
  /** How it is called over REST: by hand as well, for the annotations. Takes the request as JSON with the names of the proto file. */
  rest(request: JsonObject): RestCall;
  /** A request that is refused, so that a call which passes authorization changes nothing. Empty where no request has a field. */
  readonly invalid: JsonObject;
  /** Every one has its own line in the test's report. At least one is answered. */
  readonly cases: readonly Case<World>[];
  /** None for methods that are not on the public port. */
  readonly examples: readonly ContractExample[];
}

/** The names of the methods that one request message calls: what streams requests has neither REST nor a browser's client. */
type Callable<Methods extends DescService["method"]> = {
  [Name in keyof Methods]: Methods[Name]["methodKind"] extends "unary" | "server_streaming" ? Name : never;
}[keyof Methods];

/** What is promised of a service: a method that is not in it is a type error. */
export interface ServiceContract<Service extends DescService, World> {
  readonly service: Service;
  readonly methods: { readonly [Name in Callable<Service["method"]>]: MethodContract<World> };
}

/** Something that no other test and no other run has, short enough to be part of any name. */
export function unique(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString("hex")}`;
}

/** Any time, as protobuf JSON has it. */
export const time: string = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);

/** Any id of a kind. */
export function idOf(kind: string): string {
  return expect.stringMatching(new RegExp(`^${kind}_[0-7][0-9a-hjkmnp-tv-z]{25}$`));
}

/** An id that nothing has. */
export function unknown(kind: string): string {
  return `${kind}_01h455vb4pex5vsknk084sn02q`;
}

/** The refusal of a request by the rules of its fields. */
export function invalid(...violations: string[]): ExpectedError {
  return { code: "InvalidArgument", reason: "INVALID_FIELDS", violations };
}

/** The refusal of what is not there, or is not the caller's to know of. */
export function notFound(reason: string): ExpectedError {
  return { code: "NotFound", reason };
}
