/**
 * The permitted imports (docs/architecture.md). tests/architecture/import-rules.test.ts plants a violation of every rule. Imports of
 * types count like any other.
 */

/** Files that run only under vitest. */
const testFile = "(\\.test\\.ts|/testing\\.ts)$|/testing/|/testdata/|^services/[^/]+/contract/";

/** The public entries of packages: the targets of their package.json "exports". */
const packageEntries = [
  "^gen/src/",
  "^client/src/index\\.ts$",
  "^platform/[^/]+/src/index\\.ts$",
  "^platform/(auth/src/service-jwk|core/src/restart-delay)\\.ts$",
  "^platform/openapi/src/document\\.ts$",
  "^platform/runtime/src/(platform-config|testing/index)\\.ts$",
  "^platform/rpc-server/src/testing/(tap|test-port)\\.ts$",
  "^platform/http-port/src/testing/(http2-frames|readme-example)\\.ts$",
  "^platform/rest/src/testdata/descriptors\\.ts$",
  "^services/[^/]+/(src/(config|service)|contract/[^/]+)\\.ts$",
  "^services/topology/src/(index|contracts|settings)\\.ts$",
  "^gateway/src/(config|gateway)\\.ts$",
  "^tools/src/(infra/index|monitoring/index|packages/pack-packages|service-keys|shop-accounts|traces/serve-traces)\\.ts$",
];

/** The files of a service, by layer; tests are beside the tested file. */
const layer = [
  "^services/[^/]+/src/((rpc|events|jobs|application|domain|adapters/[^/]+)/|(main|service|config)\\.ts$)",
  testFile,
];

/** The packages of the platform from the bottom up, each with those that it may import; runtime, the topmost, may import all. */
const platformPackages = {
  core: [],
  money: [],
  "http-port": [],
  rest: ["http-port"],
  "rpc-server": ["core", "http-port", "rest"],
  proxy: ["core", "http-port", "rest", "rpc-server"],
  auth: ["core", "http-port", "rpc-server"],
  openapi: ["rest", "rpc-server", "auth"],
  mongo: ["core"],
  cache: ["core"],
  messaging: ["core", "rpc-server", "auth", "mongo"],
};

const drivers = "node_modules/(mongodb|bson|redis|@redis|ioredis|@nats-io)/";

const forbidden = [
  {
    name: "no-cycles",
    comment: "Modules that import each other can't be understood, tested or moved separately.",
    from: {},
    to: { circular: true },
  },
  {
    name: "everything-resolves",
    comment: "An unresolved import escapes every other rule.",
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: "gen-imports-nothing-of-ours",
    comment: "gen/ contains only what the schema defines; all other code may depend on it.",
    from: { path: "^gen/" },
    to: { path: "^(client|platform|services|gateway|web|tools|tests|bench)/" },
  },
  {
    name: "client-runs-anywhere",
    comment:
      "The client is for browsers, Node and every other runtime with fetch: it needs only the contracts and Connect.",
    from: { path: "^client/", pathNot: testFile },
    to: {
      pathNot: ["^client/", "^gen/", "node_modules/@connectrpc/connect(-web)?/", "node_modules/@bufbuild/protobuf/"],
    },
  },
  {
    name: "product-imports-no-client",
    comment: "The client calls the shop from outside; services use platform/.",
    from: { path: "^(gen|platform|services|gateway)/" },
    to: { path: "^client/" },
  },
  {
    name: "platform-imports-no-business",
    comment: "platform/ works for any business: it can't depend on this one.",
    from: { path: "^platform/" },
    to: { path: "^(services|gateway|web)/" },
  },
  {
    name: "platform-knows-common-messages-only",
    comment: "A message of users, inventory or orders in platform/ would be business code in it.",
    from: { path: "^platform/" },
    to: { path: "^gen/src/shop/", pathNot: "^gen/src/shop/common/" },
  },
  ...Object.entries(platformPackages).map(([name, below]) => ({
    name: `${name}-imports-downward`,
    comment: "A package of the platform is usable without those above it: docs/decisions/0042.",
    from: { path: `^platform/${name}/`, pathNot: testFile },
    to: {
      path: "^(client|platform|services|gateway|tools)/",
      pathNot: `^platform/(${[name, ...below].join("|")})/`,
    },
  })),
  {
    name: "contracts-of-the-edge-are-public",
    comment:
      "The packages that serve and forward calls work for any service: of the generated code they may use that of Google, Buf and gRPC, and the shop's annotations of methods and fields.",
    from: { path: "^platform/(http-port|rest|rpc-server|proxy)/", pathNot: testFile },
    to: { path: "^gen/src/shop/", pathNot: "^gen/src/shop/common/v1/(text|pattern_message|resumption)_pb\\.ts$" },
  },
  {
    name: "rest-knows-no-framework",
    comment: "The transcoder serves any node:http or node:http2 server, so it can't depend on Fastify.",
    from: { path: "^platform/rest/" },
    to: { path: "node_modules/(@fastify/|@connectrpc/connect-fastify/|fastify/)" },
  },
  {
    name: "edge-knows-no-store",
    comment: "The packages that serve and forward calls work in a process without a database, a cache or a bus.",
    from: { path: "^platform/(core|http-port|rest|rpc-server|proxy|openapi|auth)/", pathNot: testFile },
    to: { path: drivers },
  },
  {
    name: "gateway-imports-no-service",
    comment: "The gateway forwards by descriptor: it must run in a process that hosts no service.",
    from: { path: "^gateway/" },
    to: { path: "^services/", pathNot: "^services/topology/" },
  },
  {
    name: "service-imports-no-service",
    comment:
      "Services communicate by calls and events only, so that they can run separately. all-in-one hosts them in one process.",
    from: { path: "^services/([^/]+)/", pathNot: "^services/all-in-one/" },
    to: { path: "^services/", pathNot: "^services/($1|topology)/" },
  },
  {
    name: "topology-is-data",
    comment: "The starter and every service read the list of services, so it can't load a service or code that runs.",
    from: { path: "^services/topology/" },
    to: { path: ["^(client|gateway|web|tools)/", "^services/(?!topology/)", drivers] },
  },
  {
    name: "service-imports-no-gateway",
    comment: "The gateway stands in front of the services: nothing imports upward.",
    from: { path: "^services/", pathNot: "^services/all-in-one/" },
    to: { path: "^gateway/" },
  },
  {
    name: "packages-through-their-exports",
    comment: "A path to an internal file of another package bypasses its exports. The architecture tests are exempt.",
    from: { path: "^(services/[^/]+|platform/[^/]+|[^/]+)/", pathNot: "^tests/architecture/" },
    to: { path: "^(gen|client|platform|services|gateway|tools)/", pathNot: ["^$1/", ...packageEntries] },
  },
  {
    name: "source-imports-no-test",
    comment: "Production code can't depend on test code.",
    from: { path: "^(gen|client|platform|services|gateway|web|tools|bench)/", pathNot: testFile },
    to: { path: ["^tests/", testFile, "node_modules/(vitest|@vitest)/"], pathNot: "node_modules/.*/testing/" },
  },
  {
    name: "product-imports-no-tool",
    comment: "tools/ and bench/ start and measure the product from outside.",
    from: { path: "^(gen|client|platform|services|gateway|web)/" },
    to: { path: "^(tools|bench)/" },
  },
  {
    name: "infra-knows-no-shop",
    comment: "tools/infra starts MongoDB, Redis and NATS, independent of the processes that use them.",
    from: { path: "^tools/src/infra/" },
    to: { path: "^(services|gateway|platform|gen)/" },
  },
  {
    name: "service-files-have-a-layer",
    comment:
      "A file outside of the layers is subject to none of their rules. A service has a root (main, service, config), entry points (rpc, events, jobs), application, domain and adapters.",
    from: {},
    to: { path: "^services/(?!topology/)[^/]+/src/", pathNot: layer },
  },
  {
    name: "domain-imports-only-domain",
    comment:
      "Domain code is pure functions on readonly data. Of the platform they may use errors, money and ids: tests/architecture/domain-imports.test.ts checks the names.",
    from: { path: "^services/([^/]+)/src/domain/", pathNot: testFile },
    to: { pathNot: ["^services/$1/src/domain/", "^platform/(core|money)/src/index\\.ts$"] },
  },
  {
    name: "adapters-apart",
    comment:
      "Documents, messages and other services change for different reasons: entry points and the application combine them, as domain values.",
    from: { path: "^services/([^/]+)/src/adapters/([^/]+)/", pathNot: testFile },
    to: { path: "^services/$1/src/adapters/", pathNot: "^services/$1/src/adapters/$2/" },
  },
  {
    name: "adapters-import-nothing-above",
    comment:
      "They implement the ports of the application, and the composition root builds them: nothing else of what is above.",
    from: { path: "^services/([^/]+)/src/adapters/", pathNot: testFile },
    to: {
      path: "^services/$1/src/((rpc|events|jobs|application)/|(main|service|config)\\.ts$)",
      pathNot: "^services/$1/src/application/ports/",
    },
  },
  {
    name: "adapters-are-handed-over",
    comment:
      "Entry points and the application say in application/ports what they need of a database, a hash or another service, and the composition root injects it. Of the adapters they import only the conversions to and from messages and headers.",
    from: {
      path: "^services/([^/]+)/src/(rpc|events|jobs|application)/",
      pathNot: [testFile, "^services/[^/]+/src/application/ports/"],
    },
    to: {
      path: "^services/$1/src/adapters/",
      pathNot: "^services/$1/src/adapters/(proto|http)/",
    },
  },
  {
    name: "ports-know-the-domain-only",
    comment: "A port says what is needed in the words of the domain, so that whatever implements it can be replaced.",
    from: { path: "^services/([^/]+)/src/application/ports/" },
    to: {
      pathNot: ["^services/$1/src/(domain|application/ports)/", "^platform/(core|money|messaging)/src/index\\.ts$"],
    },
  },
  {
    name: "storage-and-domain-know-no-proto",
    comment:
      "Documents, secrets and domain code do not use message types, so that the schema can change independently: adapters/proto and adapters/clients convert.",
    from: { path: "^services/[^/]+/src/(domain|adapters/(?!(proto|clients)/)[^/]+)/", pathNot: testFile },
    to: { path: ["^gen/", "node_modules/@bufbuild/"] },
  },
  {
    name: "application-imports-no-entry-point",
    comment:
      "Entry points share code of the application: code that it needs of one of them belongs in application/ or domain/.",
    from: { path: "^services/([^/]+)/src/application/", pathNot: testFile },
    to: { path: "^services/$1/src/(rpc|events|jobs)/" },
  },
  {
    name: "entry-points-apart",
    comment: "Code that two entry points share belongs in application/ or domain/.",
    from: { path: "^services/([^/]+)/src/(rpc|events|jobs)/", pathNot: testFile },
    to: { path: "^services/$1/src/(rpc|events|jobs)/" },
  },
  {
    name: "layers-import-no-root",
    comment:
      "Entry points and use cases get their dependencies by injection; they can't import the entry file, the composition root or the configuration.",
    from: { path: "^services/([^/]+)/src/(rpc|events|jobs|application)/", pathNot: testFile },
    to: { path: "^services/$1/src/(main|service|config)\\.ts$" },
  },
  {
    name: "config-stands-alone",
    comment: "Other packages read a service's settings without loading the service.",
    from: { path: "^services/([^/]+)/src/config\\.ts$" },
    to: { path: "^services/$1/src/", pathNot: "^services/$1/src/domain/" },
  },
  {
    name: "drivers-in-platform-and-adapters-only",
    comment:
      "Any other code that accesses the database, the cache or the bus bypasses outbox, leases, deadlines and versions.",
    from: {
      path: "^(gen|services|gateway|web|bench)/",
      pathNot: ["^services/[^/]+/src/adapters/mongo/", "^bench/src/insert-floor\\.ts$", testFile],
    },
    to: { path: drivers },
  },
  {
    name: "tracing-is-loaded-on-demand",
    comment: "A process without tracing must not pay for OpenTelemetry's SDK in memory and start time.",
    from: { path: "^(platform|services|gateway)/", pathNot: testFile },
    to: { path: "node_modules/@opentelemetry/(?!api/)", dependencyTypesNot: ["dynamic-import"] },
  },
];

export default {
  forbidden: forbidden.map((rule) => ({ severity: "error", ...rule })),
  options: {
    doNotFollow: { path: "node_modules/" },
    tsPreCompilationDeps: true,
    // The workspaces' package.json exports point at .ts sources: resolved as Node does, through the symlinks npm makes.
    preserveSymlinks: false,
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      extensions: [".ts", ".mts", ".js", ".mjs", ".cjs", ".json", ".d.ts"],
    },
  },
};
