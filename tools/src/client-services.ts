import { type ServiceName, serviceNames } from "@shop/topology";
import { ownServices } from "@shop/topology/contracts";

/** `client/src/services.ts`: the proto services that the client has a typed client for, because it must not depend on the topology. */
export function clientServices(): string {
  const named = serviceNames.flatMap(clientsOf);
  const imports = named
    .map(([, { name, file }]) => `import { ${name} } from "@shop/gen/${file.name}_pb";\n`)
    .toSorted();
  return `// Generated from services/topology by \`npm run generate\`.
${imports.join("")}
/** The shop's proto services, by the names of their clients. */
export const services = {
${named.map(([client, { name }]) => `  ${client}: ${name},\n`).join("")}} as const;
`;
}

/** The first proto service of a service is named after the service, and further ones by their own names. */
function clientsOf(service: ServiceName) {
  return ownServices(service).map((desc, index) => {
    return [index === 0 ? service : desc.name.charAt(0).toLowerCase() + desc.name.slice(1), desc] as const;
  });
}
