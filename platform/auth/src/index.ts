export { callerOf, createAuthorize, isPublicRead, reachableServices, userIdOf } from "./access.ts";
export {
  accessTokenSeconds,
  createAccessTokenVerifier,
  type SigningKey,
  signAccessToken,
  signStreamTicket,
  tokenExpired,
  tokenRevoked,
} from "./access-tokens.ts";
export { actorOf, anonymous, isAdmin, type Principal } from "./principal.ts";
export { createRevocations, type Revocations } from "./revocations.ts";
export { type CredentialPurpose, createServiceCredentials, type ServiceCredentials } from "./service-credentials.ts";
export { openServiceKeys, readServiceKeys } from "./service-keys.ts";
