FROM node:24-slim
RUN apt-get update && apt-get install --yes --no-install-recommends libcurl4 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --user-group mongodb && mkdir -p /data/db && chown mongodb:mongodb /data/db
COPY mongod docker-entrypoint.sh /usr/local/bin/
COPY node_modules /opt/mongosh/node_modules
RUN ln -s /opt/mongosh/node_modules/mongosh/bin/mongosh.js /usr/local/bin/mongosh
VOLUME /data/db
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["mongod"]
