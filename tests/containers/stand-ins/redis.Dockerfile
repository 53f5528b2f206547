FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
USER redis
WORKDIR /data
CMD ["redis-server", "--protected-mode", "no"]
