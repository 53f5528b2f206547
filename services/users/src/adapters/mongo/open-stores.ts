import { openOutbox } from "@shop/messaging";
import type { ModuleContext } from "@shop/runtime";
import { createSessionStore, openSessions } from "./session-store.ts";
import { createUserStore, openUsers } from "./user-store.ts";

/** Opens the stores of accounts and sessions with their indexes, and an outbox for each. */
export async function openStores({ db, bus, log }: Pick<ModuleContext<unknown>, "db" | "bus" | "log">) {
  const [accounts, sessionDocuments] = await Promise.all([openUsers(db), openSessions(db)]);
  const userDocuments = accounts.users;
  const [userOutbox, sessionOutbox] = await Promise.all([
    openOutbox(userDocuments, { label: "users", bus, log }),
    openOutbox(sessionDocuments, { label: "users-sessions", bus, log }),
  ]);
  return {
    users: createUserStore(accounts, userOutbox),
    sessions: createSessionStore(sessionDocuments, sessionOutbox),
    userDocuments,
    sessionDocuments,
    userOutbox,
    sessionOutbox,
  };
}
