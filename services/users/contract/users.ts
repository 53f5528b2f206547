import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { expect } from "vitest";
import {
  type Case,
  idOf,
  invalid,
  notFound,
  type ServiceContract,
  time,
  unique,
  unknown,
} from "../../../tests/contract.ts";

/** Fixtures of the cases. */
export interface UsersWorld {
  readonly ids: Readonly<Record<"owner" | "customer" | "admin", string>>;
  readonly owner: { readonly username: string; readonly profile: JsonObject };
  /** The password of all accounts but the administrator's. */
  readonly password: string;
  readonly adminPassword: string;
  /** The path of a stream that the owner may read. */
  readonly streamPath: string;
  /** A new account and its session. */
  newAccount(): Promise<{
    readonly userId: string;
    readonly username: string;
    readonly sessionId: string;
    readonly refreshToken: string;
  }>;
  /** A further session of the owner. */
  newSession(): Promise<{ readonly sessionId: string }>;
}
type World = UsersWorld;

const tokens = {
  accessToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
  tokenType: "Bearer",
  expiresInSeconds: 600,
  refreshToken: expect.stringMatching(/^[\w-]{64}$/),
  refreshExpiresInSeconds: 14 * 24 * 60 * 60,
  sessionId: idOf("session"),
};

/** The expected profile of an account, with `fields` replaced. */
const profile = (userId: JsonValue, fields: JsonObject = {}) => ({
  userId,
  username: expect.any(String),
  roles: ["ROLE_CUSTOMER"],
  createTime: time,
  etag: expect.any(String),
  updateTime: time,
  ...fields,
});

/** The contract of each method of UserService. */
export const contract: ServiceContract<typeof UserService, World> = {
  service: UserService,
  methods: {
    register: {
      access: "PUBLIC",
      rest: (body) => ({ verb: "POST", path: "/register", body }),
      invalid: { username: "?" },
      cases: [
        {
          as: "anonymous",
          says: "creates an account",
          request: ({ password }) => ({ username: unique("row"), password }),
          answers: () => ({ userId: idOf("user") }),
        },
        {
          as: "forger",
          says: "creates an account, and ignores tokens",
          request: ({ password }) => ({ username: unique("row"), password }),
          answers: () => ({ userId: idOf("user") }),
        },
        {
          as: "anonymous",
          says: "refuses a name that is taken, in any case",
          request: ({ owner, password }) => ({ username: owner.username.toUpperCase(), password }),
          refuses: { code: "AlreadyExists", reason: "USERNAME_TAKEN" },
        },
        {
          as: "anonymous",
          says: "refuses an invalid name and a short password in one response",
          request: () => ({ username: "a b", password: "short" }),
          refuses: invalid("username", "password"),
        },
        {
          as: "anonymous",
          says: "refuses a common password",
          request: () => ({ username: unique("row"), password: "Football" }),
          refuses: { code: "InvalidArgument", reason: "PASSWORD_TOO_COMMON", violations: ["password"] },
        },
      ],
      examples: [
        {
          step: 10,
          name: "registers",
          summary: "Creates an account",
          request: {
            username: "ada.lovelace",
            password: "correct horse battery staple",
          },
          answer: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
          },
        },
        {
          step: 20,
          name: "name-taken",
          summary: "A name that is taken",
          request: {
            username: "ADA.LOVELACE",
            password: "correct horse battery staple",
          },
          status: 409,
          answer: {
            code: 6,
            message: "that username is taken",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "USERNAME_TAKEN",
                domain: "shop.users.v1",
              },
            ],
          },
        },
      ],
    },
    authenticate: {
      access: "PUBLIC",
      rest: (body) => ({ verb: "POST", path: "/authenticate", body }),
      invalid: {},
      cases: [
        {
          as: "anonymous",
          says: "returns tokens, with the name in any case",
          request: ({ owner, password }) => ({ username: owner.username.toUpperCase(), password }),
          answers: ({ ids }) => ({ userId: ids.owner, ...tokens }),
        },
        {
          as: "anonymous",
          says: "refuses a wrong password",
          request: ({ owner }) => ({ username: owner.username, password: "not the password" }),
          refuses: { code: "Unauthenticated", reason: "WRONG_CREDENTIALS" },
        },
        {
          as: "anonymous",
          says: "refuses an unknown name the same way",
          request: ({ password }) => ({ username: unique("row"), password }),
          refuses: { code: "Unauthenticated", reason: "WRONG_CREDENTIALS" },
        },
        {
          as: "anonymous",
          says: "refuses empty fields",
          request: () => ({}),
          refuses: invalid("username", "password"),
        },
      ],
      examples: [
        {
          step: 30,
          name: "signs-in",
          summary: "Opens a session",
          request: {
            username: "ada.lovelace",
            password: "correct horse battery staple",
          },
          answer: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            access_token: "eyJhbGciOiJFZERTQSJ9.eyJleGFtcGxlIjo1fQ.c2lnbmF0dXJl",
            token_type: "Bearer",
            expires_in_seconds: 600,
            refresh_token: "qaRRw7t6mr9Jmn00eRq99SA3BWe5NmyHFAzeMbsHQDEp083usEk8ESJLrFmJIjlK",
            refresh_expires_in_seconds: 1209600,
            session_id: "session_01m83qczagf20br2mtkbs56xmh",
          },
        },
        {
          step: 40,
          name: "wrong-password",
          summary: "A wrong password",
          request: {
            username: "ada.lovelace",
            password: "not the password",
          },
          status: 401,
          answer: {
            code: 16,
            message: "the username or the password is wrong",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "WRONG_CREDENTIALS",
                domain: "shop.users.v1",
              },
            ],
          },
        },
        {
          step: 620,
          name: "signs-in-again",
          summary: "Signs in with the new password",
          request: {
            username: "ada.lovelace",
            password: "a better one than before",
          },
          answer: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            access_token: "eyJhbGciOiJFZERTQSJ9.eyJleGFtcGxlIjo4fQ.c2lnbmF0dXJl",
            token_type: "Bearer",
            expires_in_seconds: 600,
            refresh_token: "z1o-h9IVC_V5eKtRkKGAGoW1MVklfRPkczPh2QxB06citPI0J_7G2rRo4ag7iMAR",
            refresh_expires_in_seconds: 1209600,
            session_id: "session_01m83qd1mdf20br2rz2n8pmxcx",
          },
        },
        {
          step: 660,
          name: "disabled-account",
          summary: "A disabled account",
          request: {
            username: "ada.lovelace",
            password: "a better one than before",
          },
          status: 403,
          answer: {
            code: 7,
            message: "the account is disabled: ask an administrator",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "ACCOUNT_DISABLED",
                domain: "shop.users.v1",
              },
            ],
          },
        },
        {
          step: 690,
          name: "signs-in-a-last-time",
          summary: "Opens another session",
          request: {
            username: "ada.lovelace",
            password: "a better one than before",
          },
          answer: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            access_token: "eyJhbGciOiJFZERTQSJ9.eyJleGFtcGxlIjo5fQ.c2lnbmF0dXJl",
            token_type: "Bearer",
            expires_in_seconds: 600,
            refresh_token: "V01onrJMYYt5Tk3qrQ44jzp9VBvIaqpf1BtzHZE-52MnEVN4OH6tCpwYSk3V-T9x",
            refresh_expires_in_seconds: 1209600,
            session_id: "session_01m83qd1w4f20br2tf8h6thnx2",
          },
        },
      ],
    },
    refreshToken: {
      access: "PUBLIC",
      rest: (body) => ({ verb: "POST", path: "/sessions:refresh", body }),
      invalid: { refreshToken: "r".repeat(257) },
      cases: [
        {
          as: "anonymous",
          says: "returns the next tokens",
          request: async (world) => ({ refreshToken: (await world.newAccount()).refreshToken }),
          answers: () => ({ userId: idOf("user"), ...tokens }),
        },
        {
          as: "forger",
          says: "refuses an unknown token",
          request: () => ({ refreshToken: "A".repeat(64) }),
          refuses: { code: "Unauthenticated", reason: "REFRESH_TOKEN_INVALID" },
        },
        {
          as: "anonymous",
          says: "refuses a request with neither a token nor the cookie",
          request: () => ({}),
          refuses: { code: "Unauthenticated", reason: "REFRESH_TOKEN_INVALID" },
        },
        {
          as: "anonymous",
          says: "refuses a token that is too long",
          request: () => ({ refreshToken: "r".repeat(257) }),
          refuses: invalid("refresh_token"),
        },
      ],
      examples: [
        {
          step: 50,
          name: "refreshes",
          summary: "Gets the next pair of tokens",
          request: {
            refresh_token: "qaRRw7t6mr9Jmn00eRq99SA3BWe5NmyHFAzeMbsHQDEp083usEk8ESJLrFmJIjlK",
          },
          answer: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            access_token: "eyJhbGciOiJFZERTQSJ9.eyJleGFtcGxlIjo2fQ.c2lnbmF0dXJl",
            token_type: "Bearer",
            expires_in_seconds: 600,
            refresh_token: "qaRRw7t6mr9Jmn00eRq99RTKZ8MkM4EOMPPYsIngyGuF50Qo-iGCMnQTi508BqCG",
            refresh_expires_in_seconds: 1209600,
            session_id: "session_01m83qczagf20br2mtkbs56xmh",
          },
        },
        {
          step: 60,
          name: "not-a-token",
          summary: "An unknown token",
          request: {
            refresh_token: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
          },
          status: 401,
          answer: {
            code: 16,
            message: "the refresh token is invalid: sign in again",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "REFRESH_TOKEN_INVALID",
                domain: "shop.users.v1",
              },
            ],
          },
        },
      ],
    },
    createStreamTicket: {
      access: "AUTHENTICATED",
      rest: (body) => ({
        verb: "POST",
        path: "/sessions:createStreamTicket",
        body,
      }),
      invalid: { path: "none" },
      cases: [
        {
          as: "owner",
          says: "returns a ticket, which is not an access token",
          request: ({ streamPath }) => ({ path: streamPath }),
          answers: () => ({ ticket: tokens.accessToken, expiresInSeconds: expect.any(Number) }),
        },
        {
          as: "owner",
          says: "refuses a URL instead of a path",
          request: () => ({ path: "https://shop.example/orders" }),
          refuses: invalid("path"),
        },
        {
          as: "owner",
          says: "refuses a path that is not a stream",
          request: ({ streamPath }) => ({ path: streamPath.replace(":watch", "") }),
          refuses: invalid("path"),
        },
      ],
      examples: [
        {
          step: 330,
          name: "creates-ticket",
          summary: "Creates a ticket for the stream of an order",
          as: "shopper",
          request: {
            path: "/orders/order_01m83qd05hf20br2q89kxs66bw:watch",
          },
          answer: {
            ticket: "eyJhbGciOiJFZERTQSJ9.eyJleGFtcGxlIjo2MH0.c2lnbmF0dXJl",
            expires_in_seconds: 600,
          },
        },
      ],
    },
    signOut: {
      access: "AUTHENTICATED",
      rest: (body) => ({ verb: "POST", path: "/sessions:signOut", body }),
      invalid: { sessionId: "none" },
      cases: [
        {
          as: "owner",
          says: "ends another session of the owner",
          request: async (world) => ({ sessionId: (await world.newSession()).sessionId }),
          answers: () => ({}),
        },
        {
          as: "admin",
          says: "does not find another user's session",
          request: async (world) => ({ sessionId: (await world.newSession()).sessionId }),
          refuses: notFound("SESSION_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 610,
          name: "signs-out",
          summary: "Ends the caller's session",
          as: "shopper",
          request: {},
          answer: {},
        },
        {
          step: 630,
          name: "no-such-session",
          summary: "Another user's session",
          as: "shopper",
          request: {
            session_id: "session_01h455vb4pex5vsknk084sn02q",
          },
          status: 404,
          answer: {
            code: 5,
            message: "there is no such session",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "SESSION_NOT_FOUND",
                domain: "shop.users.v1",
                metadata: {
                  session_id: "session_01h455vb4pex5vsknk084sn02q",
                },
              },
            ],
          },
        },
      ],
    },
    signOutEverywhere: {
      access: "AUTHENTICATED",
      rest: ({ user_id, ...body }) => ({
        verb: "POST",
        path: `/profile/${user_id}:signOutEverywhere`,
        body,
      }),
      invalid: { userId: "none" },
      cases: [
        {
          as: "admin",
          says: "ends all sessions of a user",
          request: async (world) => ({ userId: (await world.newAccount()).userId }),
          answers: () => ({}),
        },
        {
          as: "customer",
          says: "does not find another user",
          request: ({ ids }) => ({ userId: ids.owner }),
          refuses: notFound("USER_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 640,
          name: "ends-all-sessions",
          summary: "Signs a user out everywhere",
          as: "admin",
          request: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
          },
          answer: {},
        },
      ],
    },
    listSessions: {
      access: "AUTHENTICATED",
      rest: (query) => ({ verb: "GET", path: "/sessions", query }),
      invalid: { pageSize: -1 },
      cases: [
        {
          as: "customer",
          says: "lists the caller's only session",
          request: () => ({}),
          answers: () => ({
            sessions: [
              {
                sessionId: idOf("session"),
                current: true,
                userAgent: expect.any(String),
                createTime: time,
                lastUseTime: time,
                expireTime: time,
              },
            ],
          }),
        },
        {
          as: "customer",
          says: "refuses a forged page token",
          request: () => ({ pageToken: "AAAA" }),
          refuses: invalid("page_token"),
        },
      ],
      examples: [
        {
          step: 70,
          name: "lists-sessions",
          summary: "The caller's sessions",
          as: "shopper",
          request: {
            page_size: 10,
          },
          answer: {
            sessions: [
              {
                session_id: "session_01m83qczagf20br2mtkbs56xmh",
                current: true,
                user_agent: "Mozilla/5.0",
                create_time: "2026-11-23T08:12:15.568Z",
                last_use_time: "2026-11-23T08:12:15.682Z",
                expire_time: "2026-12-07T08:12:15.682Z",
              },
            ],
            next_page_token: "",
          },
        },
      ],
    },
    getUserProfile: {
      access: "AUTHENTICATED",
      rest: ({ user_id }) => ({
        verb: "GET",
        path: `/profile/${user_id}`,
        answers: "profile",
      }),
      invalid: { userId: "none" },
      cases: [
        ...(["owner", "admin"] as const).map(
          (as): Case<World> => ({
            as,
            says: "reads the owner's profile",
            request: ({ ids }) => ({ userId: ids.owner }),
            answers: ({ owner }) => ({ profile: owner.profile }),
          }),
        ),
        {
          as: "customer",
          says: "does not find another user's profile",
          request: ({ ids }) => ({ userId: ids.owner }),
          refuses: notFound("USER_NOT_FOUND"),
        },
        {
          as: "admin",
          says: "does not find an unknown user",
          request: () => ({ userId: unknown("user") }),
          refuses: notFound("USER_NOT_FOUND"),
        },
        {
          as: "owner",
          says: "refuses a malformed id",
          request: () => ({ userId: "me" }),
          refuses: invalid("user_id"),
        },
      ],
      examples: [
        {
          step: 80,
          name: "reads-own-profile",
          summary: "The caller's own account",
          as: "shopper",
          request: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
          },
          answer: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            username: "ada.lovelace",
            roles: ["ROLE_CUSTOMER"],
            create_time: "2026-11-23T08:12:15.423Z",
            display_name: "",
            etag: "v1",
            update_time: "2026-11-23T08:12:15.423Z",
            disabled: false,
          },
        },
      ],
    },
    updateUserProfile: {
      access: "AUTHENTICATED",
      rest: ({ profile }) => {
        const { user_id, ...body } = profile as JsonObject;
        return { verb: "PATCH", path: `/profile/${user_id}`, body, answers: "profile" };
      },
      invalid: { profile: { userId: "none" } },
      cases: [
        {
          as: "customer",
          says: "changes the display name",
          request: ({ ids }) => ({
            profile: { userId: ids.customer, displayName: "Žofie 🌻" },
            updateMask: "displayName",
          }),
          answers: ({ ids }) => ({ profile: profile(ids.customer, { displayName: "Žofie 🌻" }) }),
        },
        {
          as: "customer",
          says: "refuses fields that the owner can't change",
          request: ({ ids }) => ({
            profile: { userId: ids.customer, roles: ["ROLE_ADMIN"], username: "admin" },
            updateMask: "username,roles",
          }),
          refuses: invalid("profile.username", "profile.roles"),
        },
        {
          as: "customer",
          says: "refuses a stale etag",
          request: ({ ids }) => ({
            profile: { userId: ids.customer, displayName: "Too late", etag: "v0" },
            updateMask: "displayName",
          }),
          refuses: { code: "Aborted", reason: "USER_CHANGED" },
        },
        {
          as: "admin",
          says: "does not find another user's profile",
          request: ({ ids }) => ({ profile: { userId: ids.owner, displayName: "Mine" }, updateMask: "displayName" }),
          refuses: notFound("USER_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 90,
          name: "changes-display-name",
          summary: "Changes the display name",
          as: "shopper",
          request: {
            profile: {
              user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
              display_name: "Ada",
            },
          },
          answer: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            username: "ada.lovelace",
            roles: ["ROLE_CUSTOMER"],
            create_time: "2026-11-23T08:12:15.423Z",
            display_name: "Ada",
            etag: "v2",
            update_time: "2026-11-23T08:12:15.849Z",
            disabled: false,
          },
        },
        {
          step: 100,
          name: "has-changed-since",
          summary: "The account has changed since it was read",
          as: "shopper",
          request: {
            profile: {
              user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
              display_name: "Countess",
              etag: "v0",
            },
          },
          status: 409,
          answer: {
            code: 10,
            message: "the account has changed since it was read: read it again",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "USER_CHANGED",
                domain: "shop.users.v1",
                metadata: {
                  user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
                  etag: "v2",
                },
              },
            ],
          },
        },
      ],
    },
    changePassword: {
      access: "AUTHENTICATED",
      rest: (body) => ({ verb: "POST", path: "/profile:changePassword", body }),
      invalid: {},
      cases: [
        {
          as: "leaver",
          says: "changes it, and returns another access token",
          request: ({ password }) => ({ oldPassword: password, newPassword: "a better one than before" }),
          answers: () => ({ accessToken: tokens.accessToken, tokenType: "Bearer", expiresInSeconds: 600 }),
        },
        {
          as: "owner",
          says: "refuses a wrong password",
          request: () => ({ oldPassword: "not the password", newPassword: "a better one than before" }),
          refuses: { code: "PermissionDenied", reason: "WRONG_PASSWORD" },
        },
        {
          as: "owner",
          says: "refuses a new password that is too short",
          request: ({ password }) => ({ oldPassword: password, newPassword: "short" }),
          refuses: invalid("new_password"),
        },
      ],
      examples: [
        {
          step: 110,
          name: "changes-password",
          summary: "Changes the password",
          as: "shopper",
          request: {
            old_password: "correct horse battery staple",
            new_password: "a better one than before",
          },
          answer: {
            access_token: "eyJhbGciOiJFZERTQSJ9.eyJleGFtcGxlIjo3fQ.c2lnbmF0dXJl",
            token_type: "Bearer",
            expires_in_seconds: 600,
          },
        },
        {
          step: 120,
          name: "wrong-old-password",
          summary: "A wrong old password",
          as: "shopper",
          request: {
            old_password: "not the password",
            new_password: "an even better one",
          },
          status: 403,
          answer: {
            code: 7,
            message: "the password is wrong",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "WRONG_PASSWORD",
                domain: "shop.users.v1",
              },
            ],
          },
        },
      ],
    },
    deleteAccount: {
      access: "AUTHENTICATED",
      rest: (body) => ({ verb: "POST", path: "/profile:delete", body }),
      invalid: {},
      cases: [
        {
          as: "leaver",
          says: "deletes it",
          request: ({ password }) => ({ password }),
          answers: () => ({}),
        },
        {
          as: "owner",
          says: "refuses a wrong password",
          request: () => ({ password: "not the password" }),
          refuses: { code: "PermissionDenied", reason: "WRONG_PASSWORD" },
        },
        {
          as: "admin",
          says: "does not leave the shop without an administrator",
          request: ({ adminPassword }) => ({ password: adminPassword }),
          refuses: { code: "FailedPrecondition", reason: "LAST_ADMIN" },
        },
      ],
      examples: [
        {
          step: 700,
          name: "deletes-account",
          summary: "Deletes the caller's account",
          as: "shopper",
          request: {
            password: "a better one than before",
          },
          answer: {},
        },
      ],
    },
    listUsers: {
      access: "ADMIN",
      rest: (query) => ({ verb: "GET", path: "/admin/users", query }),
      invalid: { pageSize: -1 },
      cases: [
        {
          as: "admin",
          says: "lists accounts by a prefix of the name, in any case",
          request: async (world) => ({ usernamePrefix: (await world.newAccount()).username.toUpperCase() }),
          answers: () => ({ users: [profile(idOf("user"))] }),
        },
        {
          as: "admin",
          says: "refuses a forged page token",
          request: () => ({ pageToken: "AAAA" }),
          refuses: invalid("page_token"),
        },
      ],
      examples: [
        {
          step: 580,
          name: "finds-by-name",
          summary: "Accounts by a prefix of the name",
          as: "admin",
          request: {
            username_prefix: "ada.lovelace",
            page_size: 10,
          },
          answer: {
            users: [
              {
                user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
                username: "ada.lovelace",
                roles: ["ROLE_CUSTOMER"],
                create_time: "2026-11-23T08:12:15.423Z",
                display_name: "Ada",
                etag: "v3",
                update_time: "2026-11-23T08:12:16.031Z",
                disabled: false,
              },
            ],
            next_page_token: "",
          },
        },
      ],
    },
    setRoles: {
      access: "ADMIN",
      rest: ({ user_id, ...body }) => ({
        verb: "POST",
        path: `/admin/users/${user_id}:setRoles`,
        body,
        answers: "profile",
      }),
      invalid: { userId: "none" },
      cases: [
        {
          as: "admin",
          says: "sets an account's roles",
          request: async (world) => ({ userId: (await world.newAccount()).userId, roles: ["ROLE_CUSTOMER"] }),
          answers: (_, { userId }) => ({ profile: profile(userId!) }),
        },
        {
          as: "admin",
          says: "does not leave the shop without an administrator",
          request: ({ ids }) => ({ userId: ids.admin, roles: ["ROLE_CUSTOMER"] }),
          refuses: { code: "FailedPrecondition", reason: "LAST_ADMIN" },
        },
        {
          as: "admin",
          says: "refuses an empty list of roles",
          request: ({ ids }) => ({ userId: ids.customer }),
          refuses: invalid("roles"),
        },
        {
          as: "admin",
          says: "does not find an unknown user",
          request: () => ({ userId: unknown("user"), roles: ["ROLE_ADMIN"] }),
          refuses: notFound("USER_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 590,
          name: "makes-a-customer",
          summary: "Removes the role of administrator",
          as: "admin",
          request: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            roles: ["ROLE_CUSTOMER"],
          },
          answer: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            username: "ada.lovelace",
            roles: ["ROLE_CUSTOMER"],
            create_time: "2026-11-23T08:12:15.423Z",
            display_name: "Ada",
            etag: "v3",
            update_time: "2026-11-23T08:12:16.031Z",
            disabled: false,
          },
        },
        {
          step: 600,
          name: "last-admin",
          summary: "The last administrator",
          as: "admin",
          request: {
            user_id: "user_01m83qcpzdf20br0v1gseyesza",
            roles: ["ROLE_CUSTOMER"],
          },
          status: 400,
          answer: {
            code: 9,
            message: "the shop would be left without an administrator",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "LAST_ADMIN",
                domain: "shop.users.v1",
              },
            ],
          },
        },
      ],
    },
    disableUser: {
      access: "ADMIN",
      rest: ({ user_id, ...body }) => ({
        verb: "POST",
        path: `/admin/users/${user_id}:disable`,
        body,
        answers: "profile",
      }),
      invalid: { userId: "none" },
      cases: [
        {
          as: "admin",
          says: "disables an account",
          request: async (world) => ({ userId: (await world.newAccount()).userId }),
          answers: (_, { userId }) => ({ profile: profile(userId!, { disabled: true }) }),
        },
        {
          as: "admin",
          says: "does not leave the shop without an administrator",
          request: ({ ids }) => ({ userId: ids.admin }),
          refuses: { code: "FailedPrecondition", reason: "LAST_ADMIN" },
        },
        {
          as: "admin",
          says: "does not find an unknown user",
          request: () => ({ userId: unknown("user") }),
          refuses: notFound("USER_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 650,
          name: "disables-account",
          summary: "Disables an account",
          as: "admin",
          request: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
          },
          answer: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            username: "ada.lovelace",
            roles: ["ROLE_CUSTOMER"],
            create_time: "2026-11-23T08:12:15.423Z",
            display_name: "Ada",
            etag: "v5",
            update_time: "2026-11-23T08:12:17.990Z",
            disabled: true,
          },
        },
      ],
    },
    enableUser: {
      access: "ADMIN",
      rest: ({ user_id, ...body }) => ({
        verb: "POST",
        path: `/admin/users/${user_id}:enable`,
        body,
        answers: "profile",
      }),
      invalid: { userId: "none" },
      cases: [
        {
          as: "admin",
          says: "leaves an account that is not disabled unchanged",
          request: async (world) => ({ userId: (await world.newAccount()).userId }),
          answers: (_, { userId }) => ({ profile: profile(userId!) }),
        },
        {
          as: "admin",
          says: "does not find an unknown user",
          request: () => ({ userId: unknown("user") }),
          refuses: notFound("USER_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 670,
          name: "enables-account",
          summary: "Enables an account",
          as: "admin",
          request: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
          },
          answer: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            username: "ada.lovelace",
            roles: ["ROLE_CUSTOMER"],
            create_time: "2026-11-23T08:12:15.423Z",
            display_name: "Ada",
            etag: "v6",
            update_time: "2026-11-23T08:12:18.093Z",
            disabled: false,
          },
        },
      ],
    },
    resetPassword: {
      access: "INTERNAL",
      rest: (body) => ({
        verb: "POST",
        path: "/admin/users:resetPassword",
        body,
        answers: "profile",
      }),
      invalid: {},
      cases: [
        {
          as: "starter",
          says: "replaces an account's password",
          request: async (world) => ({
            username: (await world.newAccount()).username,
            newPassword: "one that is known",
          }),
          answers: () => ({ profile: profile(idOf("user")) }),
        },
        {
          as: "starter",
          says: "does not find an unknown account",
          request: () => ({ username: "nobody-has-this-name", newPassword: "one that is known" }),
          refuses: notFound("USER_NOT_FOUND"),
        },
      ],
      examples: [],
    },
    listSecurityEvents: {
      access: "ADMIN",
      rest: (query) => ({ verb: "GET", path: "/admin/security-events", query }),
      invalid: { pageSize: -1 },
      cases: [
        {
          as: "admin",
          says: "lists the events of one account",
          request: async (world) => ({ userId: (await world.newAccount()).userId }),
          answers: (_, { userId }) => ({
            securityEvents: [
              {
                securityEventId: idOf("event"),
                kind: "SECURITY_EVENT_KIND_SIGNED_IN",
                userId: userId!,
                actor: userId!,
                sessionId: idOf("session"),
                time,
              },
            ],
          }),
        },
        {
          as: "admin",
          says: "refuses a malformed user id",
          request: () => ({ userId: "me" }),
          refuses: invalid("user_id"),
        },
      ],
      examples: [
        {
          step: 680,
          name: "lists-security-events",
          summary: "The security events of an account",
          as: "admin",
          request: {
            user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
            page_size: 2,
          },
          answer: {
            security_events: [
              {
                security_event_id: "event_01m83qd1sgf20br2t4v6tzp29c",
                kind: "SECURITY_EVENT_KIND_ENABLED",
                user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
                actor: "user_01m83qcpzdf20br0v1gseyesza",
                session_id: "",
                detail: "",
                time: "2026-11-23T08:12:18.096Z",
              },
              {
                security_event_id: "event_01m83qd1rvf20br2sw45r713k7",
                kind: "SECURITY_EVENT_KIND_SIGN_IN_FAILED",
                user_id: "user_01m83qcz4zf20br2m9x4wj6grk",
                actor: "anonymous",
                session_id: "",
                detail: "",
                time: "2026-11-23T08:12:18.075Z",
              },
            ],
            next_page_token: "i7VOw1mGVLvKX36wzLVrhyJldmVudF8wMW04M3FkMXJ2ZjIwYnIyc3c0NXI3MTNrNyI",
          },
        },
      ],
    },
  },
};
