# One image for every process of the shop, which the command selects. Node runs the TypeScript sources directly. It builds on
# Docker 20.10 and Buildah 1.28 too: `--start-interval` of its health check, which they refuse, is in compose.yaml.
FROM node:24-slim AS dependencies
WORKDIR /shop
COPY package.json package-lock.json ./
# generated: manifests, of all-in-one and of what it needs
COPY gen/package.json gen/
COPY platform/auth/package.json platform/auth/
COPY platform/cache/package.json platform/cache/
COPY platform/core/package.json platform/core/
COPY platform/http-port/package.json platform/http-port/
COPY platform/messaging/package.json platform/messaging/
COPY platform/money/package.json platform/money/
COPY platform/mongo/package.json platform/mongo/
COPY platform/proxy/package.json platform/proxy/
COPY platform/rest/package.json platform/rest/
COPY platform/rpc-server/package.json platform/rpc-server/
COPY platform/runtime/package.json platform/runtime/
COPY services/all-in-one/package.json services/all-in-one/
COPY services/inventory/package.json services/inventory/
COPY services/orders/package.json services/orders/
COPY services/topology/package.json services/topology/
COPY services/users/package.json services/users/
COPY gateway/package.json gateway/
# end of generated
# Without the root's own packages: tools, and Node, which the image already has.
RUN npm ci --omit=dev --workspace=@shop/all-in-one --include-workspace-root=false --no-audit --no-fund
# The bill of materials, without its only random and dated fields, so that two builds are equal. (With --omit=dev npm 11 would leave
# out most direct dependencies of workspaces.)
RUN npm pkg delete devDependencies optionalDependencies \
  && npm sbom --sbom-format=cyclonedx > sbom.full.json \
  && node -e 'const { serialNumber, metadata: { timestamp, ...metadata }, ...sbom } = JSON.parse(fs.readFileSync("sbom.full.json")); fs.writeFileSync("sbom.json", JSON.stringify({ ...sbom, metadata }))'
# Without documents, tests, types and source maps of packages; licences stay.
RUN find node_modules -type f \( -iname "*.md" -o -name "*.map" -o -name "*.d.ts" -o -name "*.d.mts" -o -name "*.d.cts" \) -delete \
  && find node_modules -type d \( -name test -o -name tests -o -name __tests__ -o -name "example*" -o -name "benchmark*" \) \
    -prune -exec rm -rf {} +

FROM node:24-slim
ENV NODE_ENV=production
ENV LISTEN_HOST=0.0.0.0
# tools/src/services.ts says why.
ENV MALLOC_ARENA_MAX=2
ENV READY_URL=http://127.0.0.1:8080/readyz
WORKDIR /shop
COPY --from=dependencies /shop/node_modules node_modules
COPY --from=dependencies /shop/sbom.json ./
COPY package.json LICENSE ./
COPY gen gen
COPY platform platform
COPY gateway gateway
COPY services services
USER node
# generated: ports
EXPOSE 8080 50053 5001 5002
# end of generated
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(process.env.READY_URL).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "services/all-in-one/src/main.ts"]
