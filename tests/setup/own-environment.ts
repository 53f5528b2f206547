import { serviceNames, urlVariable } from "@shop/topology";

/** Variables that would connect test processes to other servers, services or data. */
const external = ["MONGODB_URI", "REDIS_URL", "NATS_URL", ...serviceNames.map(urlVariable)];
/** Variables of the test runner. */
const runners = /^(NODE_ENV|TEST|VITEST.*|VITE_.*|MODE|DEV|PROD|SSR|BASE_URL)$/;

/** Tests sign in and register far more often than users, all from one address, and often with wrong passwords. */
const limits = {
  AUTH_RATE_PER_MINUTE: "1000000",
  SIGN_IN_FREE_FAILURES: "50",
  PASSWORD_HASHES_PER_NETWORK: "0",
  PASSWORD_HASHES_WAITING: "100",
  // A few accounts place the orders of many customers.
  ORDER_LINES_PER_ACCOUNT: "0",
  ORDER_LINES_PER_NETWORK: "0",
  MAX_OPEN_UNITS_PER_ACCOUNT: "0",
  MAX_OPEN_UNITS_PER_PRODUCT: "0",
};

/** The environment of test processes: this one's, without variables that point outside of the test. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !runners.test(name));
  // An empty variable counts as absent, and keeps a .env file from setting it.
  return { ...Object.fromEntries(kept), ...Object.fromEntries(external.map((name) => [name, ""])), ...limits };
}
