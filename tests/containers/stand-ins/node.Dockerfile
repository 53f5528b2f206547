FROM debian:bookworm-slim
RUN useradd --uid 1000 --user-group --create-home node
COPY node /usr/local/bin/
COPY node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
# The authorities that this machine trusts, for packages from its registry.
COPY authorities.crt /etc/ssl/certs/machine.crt
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/machine.crt
CMD ["node"]
