import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Role as RoleOnTheWire, type UserProfileSchema } from "@shop/gen/shop/users/v1/user_service_pb";
import { etagOf, type Role, type User } from "../../domain/user.ts";

const roles: Record<Role, RoleOnTheWire> = { customer: RoleOnTheWire.CUSTOMER, admin: RoleOnTheWire.ADMIN };

export function toUserProfile(user: User): MessageInitShape<typeof UserProfileSchema> {
  return {
    userId: user.userId,
    username: user.username,
    roles: user.roles.map((role) => roles[role]),
    createTime: timestampFromDate(user.createTime),
    displayName: user.displayName,
    etag: etagOf(user),
    updateTime: timestampFromDate(user.updateTime),
    disabled: user.disabled,
  };
}

/** Ignores values that are not roles, which validation by the schema refuses before. */
export function toRoles(onTheWire: readonly RoleOnTheWire[]): Role[] {
  return (Object.keys(roles) as Role[]).filter((role) => onTheWire.includes(roles[role]));
}
