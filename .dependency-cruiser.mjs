/**
 * Who may import whom (docs/architecture.md). Every rule here is proven red by a planted violation in
 * tests/architecture/import-rules.test.ts. Imports of types count as much as any other.
 */

/** Files that run only under vitest. */
const testFile = "(\\.test\\.ts|/testing\\.ts)$|/testing/|/testdata/|^services/[^/]+/contract/";

/** What a package shows to the others: the targets of its package.json "exports". */
const doors = [
  "^gen/src/",
  "^client/src/index\\.ts$",
  "^platform/[^/]+/src/index\\.ts$",
  "^platform/openapi/src/document\\.ts$",
  "^platform/runtime/src/testing/index\\.ts$",
  "^platform/rpc-server/src/testing/test-port\\.ts$",
  "^platform/http-port/src/testing/(http2-frames|readme-example)\\.ts$",
  "^platform/rest/src/testdata/descriptors\\.ts$",
  "^services/[^/]+/(src/(config|service)|contract/[^/]+)\\.ts$",
  "^services/topology/src/(index|contracts|settings)\\.ts$",
  "^gateway/src/(config|gateway)\\.ts$",
  "^tools/src/(infra/index|packages/pack-packages|service-keys|shop-accounts)\\.ts$",
];

/** The files of a service, by the layers that DESIGN section 2 names; tests stand beside what they test. */
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
    comment: "Of two modules that import each other neither can be understood, tested or moved alone.",
    from: {},
    to: { circular: true },
  },
  {
    name: "everything-resolves",
    comment: "An import that leads nowhere escapes every other rule.",
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: "gen-imports-nothing-of-ours",
    comment: "gen/ is what the schema says and nothing else; everything may build on it.",
    from: { path: "^gen/" },
    to: { path: "^(client|platform|services|gateway|web|tools|tests|bench)/" },
  },
  {
    name: "client-runs-anywhere",
    comment:
      "The client is for browsers, Node and whatever else has fetch: it needs the contracts and Connect, and no more.",
    from: { path: "^client/", pathNot: testFile },
    to: {
      pathNot: ["^client/", "^gen/", "node_modules/@connectrpc/connect(-web)?/", "node_modules/@bufbuild/protobuf/"],
    },
  },
  {
    name: "product-imports-no-client",
    comment: "The client calls the shop from outside; parts of the shop meet through platform/.",
    from: { path: "^(gen|platform|services|gateway)/" },
    to: { path: "^client/" },
  },
  {
    name: "platform-imports-no-business",
    comment: "platform/ is plumbing that would serve any business: it can't know the one that uses it.",
    from: { path: "^platform/" },
    to: { path: "^(services|gateway|web)/" },
  },
  {
    name: "platform-knows-common-messages-only",
    comment: "A message of users, inventory or orders in platform/ would be a shop noun in the plumbing.",
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
      "What serves and forwards calls works for any service: of the generated code it may use what Google, Buf and gRPC define, and the shop's annotations of methods and fields.",
    from: { path: "^platform/(http-port|rest|rpc-server|proxy)/", pathNot: testFile },
    to: { path: "^gen/src/shop/", pathNot: "^gen/src/shop/common/v1/(text|pattern_message|resumption)_pb\\.ts$" },
  },
  {
    name: "rest-knows-no-framework",
    comment: "The transcoder serves whatever speaks node:http or node:http2, so it can't depend on Fastify.",
    from: { path: "^platform/rest/" },
    to: { path: "node_modules/(@fastify/|@connectrpc/connect-fastify/|fastify/)" },
  },
  {
    name: "edge-knows-no-store",
    comment: "What serves and forwards calls runs in a process without a database, a cache or a bus.",
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
      "Services meet over the wire and the bus only, or they could not run apart. all-in-one hosts them side by side.",
    from: { path: "^services/([^/]+)/", pathNot: "^services/all-in-one/" },
    to: { path: "^services/", pathNot: "^services/($1|topology)/" },
  },
  {
    name: "topology-is-data",
    comment:
      "What runs the services, and each of them, reads the list of services: it can load none of them, nor anything that runs.",
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
    name: "packages-through-their-doors",
    comment:
      "A path into another package's insides goes around its exports. The architecture tests look inside by trade.",
    from: { path: "^(services/[^/]+|platform/[^/]+|[^/]+)/", pathNot: "^tests/architecture/" },
    to: { path: "^(gen|client|platform|services|gateway|tools)/", pathNot: ["^$1/", ...doors] },
  },
  {
    name: "source-imports-no-test",
    comment: "What runs in production can't need what only tests bring along.",
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
    comment: "tools/infra starts MongoDB, Redis and NATS for anybody; what runs on them is not its business.",
    from: { path: "^tools/src/infra/" },
    to: { path: "^(services|gateway|platform|gen)/" },
  },
  {
    name: "service-files-have-a-layer",
    comment:
      "A file beside the layers is under none of their rules. A service has its root (main, service, config), entry points (rpc, events, jobs), application, domain and adapters.",
    from: {},
    to: { path: "^services/(?!topology/)[^/]+/src/", pathNot: layer },
  },
  {
    name: "domain-imports-only-domain",
    comment:
      "Rules are pure functions on readonly data. Of the platform they may use errors, money and ids: tests/architecture/domain-imports.test.ts checks the names.",
    from: { path: "^services/([^/]+)/src/domain/", pathNot: testFile },
    to: { pathNot: ["^services/$1/src/domain/", "^platform/(core|money)/src/index\\.ts$"] },
  },
  {
    name: "adapters-apart",
    comment:
      "Documents, messages and other services change for different reasons: they meet in an entry point or in the application, as domain values.",
    from: { path: "^services/([^/]+)/src/adapters/([^/]+)/", pathNot: testFile },
    to: { path: "^services/$1/src/adapters/", pathNot: "^services/$1/src/adapters/$2/" },
  },
  {
    name: "adapters-import-nothing-above",
    comment: "The application uses them and the composition root builds them: nothing imports upward.",
    from: { path: "^services/([^/]+)/src/adapters/", pathNot: testFile },
    to: { path: "^services/$1/src/((rpc|events|jobs|application)/|(main|service|config)\\.ts$)" },
  },
  {
    name: "adapters-are-handed-over",
    comment:
      "Entry points and the application name the type of what stores, hashes or calls, and are handed one by the composition root. Only conversions to and from messages and headers are functions that they import.",
    from: { path: "^services/([^/]+)/src/(rpc|events|jobs|application)/", pathNot: testFile },
    to: {
      path: "^services/$1/src/adapters/",
      pathNot: "^services/$1/src/adapters/(proto|http)/",
      dependencyTypesNot: ["type-only"],
    },
  },
  {
    name: "storage-and-domain-know-no-proto",
    comment:
      "Message shapes stay out of documents, secrets and rules, so that the schema can change without them: adapters/proto and adapters/clients translate.",
    from: { path: "^services/[^/]+/src/(domain|adapters/(?!(proto|clients)/)[^/]+)/", pathNot: testFile },
    to: { path: ["^gen/", "node_modules/@bufbuild/"] },
  },
  {
    name: "application-imports-no-entry-point",
    comment:
      "Entry points share what is in the application: what it needs of one of them belongs in it, or in domain/.",
    from: { path: "^services/([^/]+)/src/application/", pathNot: testFile },
    to: { path: "^services/$1/src/(rpc|events|jobs)/" },
  },
  {
    name: "entry-points-apart",
    comment: "What two entry points share moves down into application/ or domain/, never sideways.",
    from: { path: "^services/([^/]+)/src/(rpc|events|jobs)/", pathNot: testFile },
    to: { path: "^services/$1/src/(rpc|events|jobs)/" },
  },
  {
    name: "layers-import-no-root",
    comment:
      "An entry point or a use case is handed exactly what it uses; it can't reach for the entry file, the composition root or the environment.",
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
      "Anything else that talks to the database, the cache or the bus goes around outbox, leases, deadlines and versions.",
    from: {
      path: "^(gen|services|gateway|web|bench)/",
      pathNot: ["^services/[^/]+/src/adapters/mongo/", "^bench/src/insert-floor\\.ts$", testFile],
    },
    to: { path: drivers },
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
