import { createOutbox, createOutboxUpkeep, ensureOutboxIndex, type ModuleContext } from "@shop/platform";
import { createProductCache } from "./product-cache.ts";
import { createCategories, uniteCategories } from "./store/categories.ts";
import { createLedgerStore, openLedger } from "./store/ledger-store.ts";
import { createProductSearch } from "./store/product-search.ts";
import { createProductStore, openProducts } from "./store/product-store.ts";
import { completeSkuKeys } from "./store/sku-keys.ts";
import { createStockAuditStore } from "./store/stock-audit-store.ts";
import { createStockHistory } from "./store/stock-history.ts";
import { openVocabulary } from "./store/vocabulary.ts";

/** Opens the service's stores on a database, with their indexes; the ledger publishes once the cache shows what it tells. */
export async function openStores({
  db,
  bus,
  cache,
  log,
}: Pick<ModuleContext<unknown>, "db" | "bus" | "cache" | "log">) {
  const vocabulary = await openVocabulary(db);
  const productDocuments = await openProducts(db, vocabulary, log);
  await completeSkuKeys(productDocuments, log);
  await uniteCategories(db, productDocuments);
  const ledgerDocuments = await openLedger(db);
  await ensureOutboxIndex(ledgerDocuments);
  const outbox = createOutbox(ledgerDocuments, bus, log);
  const upkeep = createOutboxUpkeep(ledgerDocuments, outbox);
  const products = createProductStore(productDocuments, vocabulary);
  const productCache = createProductCache(cache);
  const ledger = createLedgerStore({
    client: db.client,
    ledger: ledgerDocuments,
    products: productDocuments,
    vocabulary,
    outbox,
    shown: productCache.moved,
  });
  return {
    products,
    categories: createCategories(productDocuments),
    search: createProductSearch({ products: productDocuments, vocabulary }),
    vocabulary,
    productCache,
    productDocuments,
    ledger,
    ledgerDocuments,
    history: createStockHistory(ledgerDocuments),
    outbox,
    upkeep,
    auditStore: createStockAuditStore(ledgerDocuments, productDocuments),
  };
}
