import { create } from "@bufbuild/protobuf";
import { createPageTokens } from "@shop/core";
import {
  ListSessionsRequestSchema,
  RefreshTokenRequestSchema,
  SignOutEverywhereRequestSchema,
  SignOutRequestSchema,
} from "@shop/gen/shop/users/v1/user_service_pb";
import { contextOf } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { newRefreshToken, toText } from "../application/refresh-tokens.ts";
import { openTestUsers, userContext } from "../testing/open-test-users.ts";
import { listSessions } from "./list-sessions.ts";
import { refreshToken } from "./refresh-token.ts";
import { signOut } from "./sign-out.ts";
import { signOutEverywhere } from "./sign-out-everywhere.ts";

const refused = expect.objectContaining({ kind: "unauthenticated", reason: "REFRESH_TOKEN_INVALID" });
const dayMs = 24 * 60 * 60 * 1000;

async function openSessionCalls() {
  const on = await openTestUsers();
  const [doRefresh, doSignOut, doList] = [
    refreshToken(on),
    signOut(on),
    listSessions({ ...on, pageTokens: createPageTokens(() => ["a secret"]) }),
  ];
  return {
    ...on,
    refresh: async (token: string | undefined) => {
      const request = create(RefreshTokenRequestSchema, { refreshToken: token! });
      return (await doRefresh(request, contextOf({ kind: "anonymous" }))) as {
        refreshToken: string;
        sessionId: string;
      };
    },
    signOut: async (caller: { userId?: string; sessionId?: string }, sessionId = "") =>
      await doSignOut(create(SignOutRequestSchema, { sessionId }), userContext(caller)),
    signOutEverywhere: async (caller: { userId?: string }) =>
      await signOutEverywhere(on)(
        create(SignOutEverywhereRequestSchema, { userId: caller.userId! }),
        userContext(caller),
      ),
    list: async (caller: { userId?: string; sessionId?: string }) =>
      (await doList(create(ListSessionsRequestSchema), userContext(caller))).sessions!,
  };
}

test("a refresh token has at least 256 random bits, and is not stored in the database", async () => {
  const { signUp, sessionDocuments } = await openSessionCalls();
  const { refreshToken, sessionId } = await signUp();
  expect(refreshToken).toMatch(/^[\w-]{64}$/);
  const bytes = Buffer.from(refreshToken!, "base64url");
  const document = await sessionDocuments.findOne({ _id: sessionId! });
  const kept = [document!.family_hash, document!.token_hash].map(({ buffer }) => Buffer.from(buffer));
  for (const part of [bytes.subarray(0, 16), bytes.subarray(16)]) expect(kept).not.toContainEqual(part);
});

test("each refresh returns another token and extends the session", async () => {
  const { signUp, refresh, advance } = await openSessionCalls();
  const first = await signUp();
  const tokens = new Set([first.refreshToken]);
  let token = first.refreshToken;
  for (let day = 1; day <= 20; day++) {
    advance(dayMs);
    const { refreshToken, sessionId } = await refresh(token);
    expect(sessionId).toBe(first.sessionId);
    tokens.add(refreshToken);
    token = refreshToken;
  }
  expect(tokens.size).toBe(21);
});

test("a session that is not refreshed ends after its idle time", async () => {
  const { signUp, refresh, advance } = await openSessionCalls();
  const { refreshToken } = await signUp();
  advance(14 * dayMs);
  await expect(refresh(refreshToken)).rejects.toEqual(refused);
});

test("a session ends after its longest time, however often it is refreshed", async () => {
  const { signUp, refresh, advance } = await openSessionCalls();
  let { refreshToken: token } = await signUp();
  for (let day = 1; day < 90; day++) {
    advance(dayMs);
    token = (await refresh(token)).refreshToken;
  }
  advance(dayMs);
  await expect(refresh(token)).rejects.toEqual(refused);
});

test("tabs that refresh concurrently get the same next token, and can use it", async () => {
  const { signUp, refresh } = await openSessionCalls();
  const { refreshToken } = await signUp();
  const answers = await Promise.all(Array.from({ length: 10 }, () => refresh(refreshToken)));
  const next = new Set(answers.map((answer) => answer.refreshToken));
  expect(next.size).toBe(1);
  await refresh([...next][0]);
});

test("a late refresh within the grace period returns the current token", async () => {
  const { signUp, refresh, advance } = await openSessionCalls();
  const { refreshToken } = await signUp();
  let token = refreshToken;
  for (let time = 0; time < 3; time++) {
    token = (await refresh(token)).refreshToken;
    advance(3_000);
  }
  expect((await refresh(refreshToken)).refreshToken).toBe(token);
});

test("a spent token that is used after the grace period ends the session for all holders of its tokens", async () => {
  const { signUp, refresh, advance, list } = await openSessionCalls();
  const robbed = await signUp();
  const { refreshToken: stolen } = await refresh(robbed.refreshToken);
  const { refreshToken: current } = await refresh(stolen);
  advance(10_000);
  await expect(refresh(stolen)).rejects.toEqual(refused);
  await expect(refresh(current)).rejects.toEqual(refused);
  expect(await list(robbed)).toEqual([]);
});

test("reuse is detected for the oldest token of a session as for the last one", async () => {
  const { signUp, refresh, advance } = await openSessionCalls();
  const { refreshToken: oldest } = await signUp();
  let token = oldest;
  for (let hour = 0; hour < 20; hour++) {
    advance(60 * 60 * 1000);
    token = (await refresh(token)).refreshToken;
  }
  await expect(refresh(oldest)).rejects.toEqual(refused);
  await expect(refresh(token)).rejects.toEqual(refused);
});

test("an unknown or malformed token is refused and ends no session", async () => {
  const { signUp, refresh } = await openSessionCalls();
  const { refreshToken, accessToken, sessionId } = await signUp();
  for (const forged of [toText(newRefreshToken()), accessToken!, sessionId!, "nonsense"]) {
    await expect(refresh(forged)).rejects.toEqual(refused);
  }
  await refresh(refreshToken);
});

test("signing out ends the caller's session and no other", async () => {
  const { signUp, signIn, signOut, refresh, list } = await openSessionCalls();
  const first = await signUp();
  const second = await signIn(first.username);
  await signOut(first);
  await expect(refresh(first.refreshToken)).rejects.toEqual(refused);
  await refresh(second.refreshToken);
  expect((await list(second)).map(({ sessionId, current }) => [sessionId, current])).toEqual([
    [second.sessionId, true],
  ]);
});

test("a caller can sign out another session of their own, and another user's is not found", async () => {
  const { signUp, signIn, signOut, refresh } = await openSessionCalls();
  const [mine, theirs] = [await signUp(), await signUp()];
  const phone = await signIn(mine.username);
  await expect(signOut(mine, theirs.sessionId)).rejects.toMatchObject({ reason: "SESSION_NOT_FOUND" });
  await signOut(mine, phone.sessionId);
  await expect(refresh(phone.refreshToken)).rejects.toEqual(refused);
  await refresh(mine.refreshToken);
  await refresh(theirs.refreshToken);
});

test("signing out everywhere ends all sessions, and a new sign-in opens another one", async () => {
  const { signUp, signIn, signOutEverywhere, refresh, list } = await openSessionCalls();
  const first = await signUp();
  const second = await signIn(first.username);
  await signOutEverywhere(first);
  for (const { refreshToken } of [first, second]) await expect(refresh(refreshToken)).rejects.toEqual(refused);
  const third = await signIn(first.username);
  await refresh(third.refreshToken);
  expect((await list(third)).map(({ sessionId }) => sessionId)).toEqual([third.sessionId]);
});

test("a session shows the user agent that opened it and the time of its last use", async () => {
  const { signUp, refresh, list, advance, clock } = await openSessionCalls();
  const caller = await signUp();
  const opened = clock().getTime();
  advance(60_000);
  await refresh(caller.refreshToken);
  const seconds = (ms: number) => expect.objectContaining({ seconds: BigInt(Math.floor(ms / 1000)) });
  expect(await list(caller)).toEqual([
    {
      sessionId: caller.sessionId,
      current: true,
      userAgent: "Firefox",
      createTime: seconds(opened),
      lastUseTime: seconds(opened + 60_000),
      expireTime: seconds(opened + 60_000 + 14 * dayMs),
    },
  ]);
});
