import { isAdmin, type Principal } from "@shop/auth";

/** Whether an account is the caller's own, or the caller an administrator. */
export function mayActFor(caller: Principal, userId: string): boolean {
  return isAdmin(caller) || (caller.kind === "user" && caller.userId === userId);
}
