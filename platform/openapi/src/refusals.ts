import { type DescMethod, getOption, type JsonObject } from "@bufbuild/protobuf";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { reasons as reasonsOption } from "@shop/gen/shop/common/v1/reasons_pb";
import type { RestRoute } from "@shop/rest";

/** What is known of a reason for which calls are refused. */
export interface Reason {
  /** The HTTP status that it comes with. */
  readonly status: number;
  readonly when: string;
}

const anybody = ["INVALID_FIELDS", "DEPENDENCY_UNAVAILABLE", "SERVICE_UNREACHABLE"];
/** What requests with a body are refused for besides. */
const withBody = ["BUFFERS_FULL"];
const signedIn = [...anybody, "ACCESS_TOKEN_MISSING", "ACCESS_TOKEN_INVALID", "TOKEN_KEYS_UNAVAILABLE"];

/** By access rule, what the platform refuses every call for that gets to a port. */
const reasonsOfRule: Readonly<Partial<Record<Access, readonly string[]>>> = {
  [Access.PUBLIC]: anybody,
  [Access.AUTHENTICATED]: signedIn,
  [Access.ADMIN]: [...signedIn, "ADMIN_REQUIRED"],
};

/** What a status means, and when it comes without a reason (docs/errors.md). */
const meanings: Readonly<Record<number, { readonly title: string; readonly bare?: string }>> = {
  400: {
    title: "The request can't be fulfilled as it is",
    bare: "The request is malformed, or breaks a rule.",
  },
  401: { title: "Who calls is not known" },
  403: { title: "Who calls may not" },
  404: { title: "There is no such thing" },
  409: { title: "It is in conflict with what is there" },
  412: { title: "It has changed since", bare: "What is 409 otherwise, for a request with `If-Match`." },
  413: { title: "Too large", bare: "The body is too large." },
  415: { title: "Not JSON", bare: "The body is not JSON, or in an encoding that is not supported." },
  429: { title: "Too many for now" },
  500: { title: "Internal error", bare: "A mistake of the server's. Its log has the cause." },
  503: { title: "Not available for now" },
  504: { title: "Too late", bare: "The deadline of the request passed." },
};

/** Statuses after which the same request may succeed later. */
const maySucceedLater = [409, 429, 503];

/** The responses by which a route refuses, by status, each with its reasons. */
export function refusals(route: RestRoute, known: ReadonlyMap<string, Reason>): Map<number, JsonObject> {
  const names = [...reasonsOf(route.method), ...(route.body.kind === "none" ? [] : withBody)];
  const reasons = names.map((name) => {
    const reason = known.get(name);
    if (reason === undefined) throw new Error(`${route.method.toString()}: nobody describes the reason ${name}`);
    return { name, ...reason };
  });
  const byStatus = Map.groupBy(reasons, ({ status }) => status);
  const always = [
    ...(route.etag === undefined ? [] : [412]),
    ...(route.body.kind === "none" ? [] : [413, 415]),
    ...[500, 504],
  ];
  const statuses = [...new Set([...byStatus.keys(), ...always])].toSorted((a, b) => a - b);
  return new Map(
    statuses.map((status) => {
      const own = byStatus.get(status);
      return [
        status,
        own === undefined ? { $ref: `#/components/responses/${sharedNames[status]}` } : refusal(status, own),
      ];
    }),
  );
}

/** The responses that are the same everywhere: nothing comes with them that depends on the method. */
export const sharedRefusals = (): JsonObject => ({
  ConditionFailed: refusal(412, []),
  TooLarge: refusal(413, []),
  NotJson: refusal(415, []),
  InternalError: refusal(500, []),
  TooLate: refusal(504, []),
});

const sharedNames: Readonly<Record<number, keyof ReturnType<typeof sharedRefusals>>> = {
  412: "ConditionFailed",
  413: "TooLarge",
  415: "NotJson",
  500: "InternalError",
  504: "TooLate",
};

function reasonsOf(method: DescMethod): readonly string[] {
  return [...(reasonsOfRule[getOption(method, access)] ?? []), ...getOption(method, reasonsOption)];
}

function refusal(status: number, reasons: readonly (Reason & { name: string })[]): JsonObject {
  const { title, bare } = meanings[status] ?? { title: "Refused" };
  const lines = reasons.map(({ name, when }) => `- \`${name}\`: ${when}`);
  if (bare !== undefined) lines.push(lines.length === 0 ? bare : `- Without a reason: ${bare}`);
  const reason = { enum: reasons.map(({ name }) => name) };
  const anyStatus = { $ref: "#/components/schemas/Status" };
  const schema =
    reasons.length === 0
      ? anyStatus
      : { allOf: [anyStatus, { properties: { details: { items: { properties: { reason } } } } }] };
  return {
    description: `${title}.\n\n${lines.join("\n")}`,
    ...headersOf(status),
    content: { "application/json": { schema } },
  };
}

function headersOf(status: number): { headers?: JsonObject } {
  const headers: JsonObject = {
    ...(maySucceedLater.includes(status) && { "Retry-After": { $ref: "#/components/headers/RetryAfter" } }),
    ...(status === 401 && { "WWW-Authenticate": { $ref: "#/components/headers/WwwAuthenticate" } }),
  };
  return Object.keys(headers).length === 0 ? {} : { headers };
}

/** What the headers of refusals mean. */
export const refusalHeaders: JsonObject = {
  RetryAfter: {
    description: "Seconds after which the same request may succeed. Without it, it most likely gets the same answer.",
    schema: { type: "integer", minimum: 0 },
  },
  WwwAuthenticate: {
    description: "How to say who calls (RFC 6750).",
    schema: { type: "string" },
    required: true,
  },
};

const detail = (type: string, description: string, properties: JsonObject): JsonObject => ({
  type: "object",
  description,
  properties: { "@type": { type: "string", const: `type.googleapis.com/google.rpc.${type}` }, ...properties },
  required: ["@type", ...Object.keys(properties).filter((name) => name === "reason" || name === "domain")],
});

const text: JsonObject = { type: "string" };

/** google.rpc.Status in JSON, with the details that come here. */
export const statusSchema: JsonObject = {
  type: "object",
  description: "Why a request failed: [google.rpc.Status](https://google.aip.dev/193).",
  properties: {
    code: { type: "integer", description: "The gRPC status code.", minimum: 1, maximum: 16 },
    message: { type: "string", description: "What is wrong, for people; it may change." },
    details: {
      type: "array",
      description: "What is wrong, for programs.",
      items: {
        oneOf: [
          detail("ErrorInfo", "Why, for programs to decide by.", {
            reason: { ...text, description: "Stable: see the reasons of each response." },
            domain: { ...text, description: "Who says so: a proto package." },
            metadata: { type: "object", additionalProperties: text, description: "What belongs to the reason." },
          }),
          detail("BadRequest", "The fields that are wrong.", {
            field_violations: {
              type: "array",
              items: {
                type: "object",
                properties: {
                  field: {
                    ...text,
                    description:
                      "The path of the field, such as `items[2].product_id`; absent when the body as a whole is wrong.",
                  },
                  description: { ...text, description: "What is wrong with it." },
                  reason: { ...text, description: "The rule that it breaks." },
                },
                required: ["description"],
              },
            },
          }),
          detail("RetryInfo", "When to try again.", {
            retry_delay: { ...text, description: "Such as `1.500s`." },
          }),
        ],
      },
    },
  },
  required: ["code", "message", "details"],
};
