#!/usr/bin/env bash
# Shops end to end over REST: registers, signs in, finds a product, orders two of it and waits until inventory has decided.
# Usage: examples/shop.sh [URL of a running shop; default: $SHOP, or the default port]
set -euo pipefail

SHOP=${1:-${SHOP:-http://127.0.0.1:8080}}
NAME=shopper-$RANDOM$RANDOM
call() { curl --silent --show-error --fail-with-body -H 'content-type: application/json' "$@"; }
field() { node -p "JSON.parse(fs.readFileSync(0)).$1" 2>/dev/null; }

ACCOUNT='{"username": "'$NAME'", "password": "correct horse battery"}'
call "$SHOP/register" -d "$ACCOUNT" | field user_id
TOKEN=$(call "$SHOP/authenticate" -d "$ACCOUNT" | field access_token)
PRODUCT=$(call "$SHOP/products?category=Coffee&in_stock=true&page_size=1" | field 'products[0].product_id')
ORDER=$(call "$SHOP/orders" -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: first-order-of-$NAME" \
  -d '{"items": [{"product_id": "'$PRODUCT'", "quantity": 2}]}' | field order_id)
STATUS=ORDER_STATUS_PENDING
while [ "$STATUS" = ORDER_STATUS_PENDING ]; do
  STATUS=$(call "$SHOP/orders/$ORDER" -H "Authorization: Bearer $TOKEN" | field status)
done
echo "order $ORDER of product $PRODUCT: $STATUS"
