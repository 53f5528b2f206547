#!/bin/sh
# Like the official image's: mongod runs as its own user, which owns the data.
set -e
if [ "$1" = mongod ] && [ "$(id -u)" = 0 ]; then
  chown -R mongodb:mongodb /data/db
  exec setpriv --reuid=mongodb --regid=mongodb --init-groups "$@"
fi
exec "$@"
