import { isDeepStrictEqual } from "node:util";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { invalidFields } from "@shop/core";
import type { UserProfile } from "@shop/gen/shop/users/v1/user_service_pb";
import type { User } from "../../domain/user.ts";
import { toUserProfile } from "./user-profile.ts";

/** Paths that identify the account or are output only: they change nothing (AIP-134, AIP-203). */
const ignoredPaths = new Set(["user_id", "etag", "create_time", "update_time"]);

/**
 * The changes of an update mask (AIP-161); without a mask, of the fields that are set. Throws INVALID_ARGUMENT for a path that can't be
 * changed, unless it has the current value.
 */
export function profileChanges(
  user: User,
  profile: UserProfile,
  mask: FieldMask | undefined,
): Partial<Pick<User, "displayName">> {
  const paths = (mask?.paths ?? pathsThatAreSet(profile)).filter((path) => !ignoredPaths.has(path));
  const stored = toUserProfile(user);
  const isStored: Readonly<Record<string, boolean>> = {
    username: profile.username === stored.username,
    roles: isDeepStrictEqual(profile.roles, stored.roles),
    disabled: profile.disabled === stored.disabled,
  };
  const wrong = paths.filter((path) => path !== "display_name" && !(Object.hasOwn(isStored, path) && isStored[path]));
  if (wrong.length > 0) {
    throw invalidFields(
      wrong.map((path) => ({ field: `profile.${path}`, description: "is not a field that an update can change" })),
    );
  }
  return paths.includes("display_name") ? { displayName: profile.displayName.trim() } : {};
}

function pathsThatAreSet(profile: UserProfile): string[] {
  return [
    ...(profile.username === "" ? [] : ["username"]),
    ...(profile.roles.length === 0 ? [] : ["roles"]),
    ...(profile.displayName === "" ? [] : ["display_name"]),
    ...(profile.disabled ? ["disabled"] : []),
  ];
}
