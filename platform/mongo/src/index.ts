export { canWrite, connectMongo } from "./connect.ts";
export { isDuplicateKey } from "./duplicate-key.ts";
export { createGroupCommit } from "./group-commit.ts";
export { createLease } from "./lease.ts";
