import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  consumedBy,
  defaultPorts,
  entryFile,
  type ProcessName,
  portVariable,
  processNames,
  serviceNames,
  services,
  urlVariable,
} from "@shop/topology";
import { publishedBy } from "@shop/topology/contracts";
import { clientServices } from "./client-services.ts";
import { repositoryRoot } from "./repository-root.ts";
import { foldersNeededBy, type Manifest, workspaces } from "./workspaces.ts";

const portOf = (name: ProcessName) => defaultPorts[portVariable(name)];

/**
 * The files that are generated from services/topology in whole or in part, by their path from the root of the repository. A
 * part is between comments `generated: <name>` and `end of generated`; the rest of the file is unchanged.
 */
export function topologyDocuments(): ReadonlyMap<string, string> {
  return new Map([
    ["compose.yaml", withParts("compose.yaml", { urls: composeUrls(), services: composeServices() })],
    ["Dockerfile", withParts("Dockerfile", { manifests: copiedManifests(), ports: exposedPorts() })],
    ["README.md", withParts("README.md", { diagram: diagram() })],
    ["docs/architecture.md", withParts("docs/architecture.md", { services: serviceTable() })],
    ["services/all-in-one/package.json", allInOneManifest()],
    ["client/src/services.ts", clientServices()],
  ]);
}

/** The file with its generated parts replaced. @throws Error when a part has no place, or a place no part */
function withParts(file: string, parts: Readonly<Record<string, string>>): string {
  const replaced = new Set<string>();
  const text = readFileSync(join(repositoryRoot, file), "utf8").replaceAll(
    /^( *(?:#|<!--) generated: (\w+)\b.*\n)(?:.*\n)*?(?=^ *(?:#|<!--) end of generated)/gm,
    (_, start: string, name: string) => {
      replaced.add(name);
      if (parts[name] === undefined) throw new Error(`${file}: nothing is generated for "${name}"`);
      return start + parts[name];
    },
  );
  const missing = Object.keys(parts).filter((name) => !replaced.has(name));
  if (missing.length > 0) throw new Error(`${file} has no comments "generated: ${missing[0]}" and "end of generated"`);
  return text;
}

function composeUrls(): string {
  return serviceNames.map((name) => `  ${urlVariable(name)}: http://${name}:${portOf(name)}\n`).join("");
}

function composeServices(): string {
  return processNames.map(composeService).join("\n");
}

function composeService(name: ProcessName): string {
  const port = portOf(name);
  const environment = name === "gateway" ? [] : [...serverUrls(name), ...secretsOf(name)];
  return `  ${name}:
    <<: *shop
    volumes: [*public-keys, { <<: *own-keys, source: "\${DATA_DIR:-.data}/keys/${name}" }]
    command: [node, ${entryFile(name)}]
    ports: ["127.0.0.1:\${${portVariable(name)}:-${port}}:${port}"]
    environment:
      <<: *environment
      READY_URL: http://127.0.0.1:${port}/readyz
${environment.map((line) => `      ${line}\n`).join("")}`;
}

function serverUrls(name: string): string[] {
  const given = (what: string) => `\${${name.toUpperCase()}_${what}:?see docs/runbook.md}`;
  return [
    `MONGODB_URI: mongodb://${name}:${given("MONGODB_PASSWORD")}@mongodb:27017/?replicaSet=rs0`,
    `REDIS_URL: redis://${name}:${given("REDIS_PASSWORD")}@redis:6379`,
    `NATS_URL: nats://${name}:${given("NATS_SEED")}@nats:4222`,
  ];
}

function secretsOf(name: Exclude<ProcessName, "gateway">): string[] {
  const secrets = services[name].secrets ?? [];
  return secrets.length === 0 ? [] : ["# Its own (docs/configuration.md).", ...secrets.map((secret) => `${secret}:`)];
}

function copiedManifests(): string {
  // Its manifest, which is generated here too, may not list the newest service yet.
  return foldersNeededBy("@shop/all-in-one", ...serviceNames.map((name) => `@shop/${name}`))
    .map((folder) => `COPY ${folder}/package.json ${folder}/\n`)
    .join("");
}

function exposedPorts(): string {
  return `EXPOSE ${Object.values(defaultPorts).join(" ")}\n`;
}

/** Hosts every service, so it depends on each. */
function allInOneManifest(): string {
  const file = "services/all-in-one/package.json";
  const manifest = JSON.parse(readFileSync(join(repositoryRoot, file), "utf8")) as Manifest;
  const hosted = serviceNames.map((name) => [`@shop/${name}`, manifest.version]);
  const others = Object.entries(manifest.dependencies ?? {}).filter(([name]) => !isService(name));
  const dependencies = Object.fromEntries([...others, ...hosted].toSorted(([a], [b]) => (a! < b! ? -1 : 1)));
  return `${JSON.stringify({ ...manifest, dependencies }, null, 2)}\n`;
}

function isService(name: string): boolean {
  return name !== "@shop/topology" && workspaces().get(name.replace("@shop/", "services/"))?.name === name;
}

function diagram(): string {
  const all = serviceNames.join(" & ");
  const caching = serviceNames.filter((name) => services[name].caches);
  const onTheBus = serviceNames.filter((name) => publishedBy(name).length + consumedBy(name).length > 0);
  const calls = serviceNames.flatMap((name) => (services[name].calls ?? []).map((called) => [name, called]));
  return `\`\`\`mermaid
flowchart LR
  client([browser, curl, gRPC client]) -->|"REST, Connect, gRPC-Web, gRPC"| gateway
  subgraph shop["one process, or one each"]
${processNames
  .toReversed()
  .map((name) => `    ${name}["${name} :${portOf(name)}"]\n`)
  .join("")}    gateway --> ${all}
${calls.map(([from, to]) => `    ${from} -->|calls| ${to}\n`).join("")}  end
  ${all} --> mongodb[("MongoDB<br/>a database each")]
  ${caching.join(" & ")} --> redis[("Redis<br/>cache")]
  ${onTheBus.join(" & ")} <-->|events| nats[["NATS JetStream"]]
\`\`\`
`;
}

function serviceTable(): string {
  const rows = serviceNames.map((name) => {
    const publishes = publishedBy(name).map((event) => event.name);
    const consumes = consumedBy(name).map(({ event }) => event.split(".").at(-1));
    const cells = [
      `[${name}](../services/${name}/README.md)`,
      services[name].owns,
      `\`${name}\``,
      publishes.join(", "),
      consumes.join(", "),
    ];
    return `| ${cells.join(" | ")} |\n`;
  });
  return `| module | owns | database and stream | publishes | consumes |
|---|---|---|---|---|
${rows.join("")}| [gateway](../gateway/README.md) | nothing | | | |
`;
}
