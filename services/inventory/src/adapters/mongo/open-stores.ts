import { type ChangeNotices, openOutbox } from "@shop/messaging";
import type { ModuleContext } from "@shop/runtime";
import type { ProductRevision } from "../../domain/product.ts";
import { createCategories, mergeCategorySpellings } from "./categories.ts";
import { createLedgerStore, openLedger } from "./ledger-store.ts";
import { createProductSearch } from "./product-search.ts";
import { createProductStore, openProducts } from "./product-store.ts";
import { completeSkuKeys } from "./sku-keys.ts";
import { createStockAuditStore } from "./stock-audit-store.ts";
import { createStockHistory } from "./stock-history.ts";
import { openVocabulary } from "./vocabulary.ts";

/**
 * Opens the service's stores with their indexes, and runs migrations. `invalidateCache` is called with moved products before their events
 * are published, and `announce` with those and deleted ones.
 */
export async function openStores({
  db,
  bus,
  log,
  invalidateCache,
  announce,
}: Pick<ModuleContext<unknown>, "db" | "bus" | "log"> & {
  readonly invalidateCache: (products: readonly ProductRevision[]) => Promise<void>;
  readonly announce: ChangeNotices["announce"];
}) {
  const vocabulary = await openVocabulary(db);
  const productDocuments = await openProducts(db, vocabulary, log);
  await completeSkuKeys(productDocuments, log);
  await mergeCategorySpellings(db, productDocuments);
  const ledgerDocuments = await openLedger(db);
  const outbox = await openOutbox(ledgerDocuments, { label: "inventory", bus, log });
  const products = createProductStore(productDocuments, vocabulary, announce);
  const ledger = createLedgerStore({
    client: db.client,
    ledger: ledgerDocuments,
    products: productDocuments,
    vocabulary,
    outbox,
    moved(products) {
      const invalidated = invalidateCache(products);
      announce(products.map(({ productId }) => productId));
      return invalidated;
    },
  });
  return {
    products,
    categories: createCategories(productDocuments),
    search: createProductSearch({ products: productDocuments, vocabulary }),
    vocabulary,
    productDocuments,
    ledger,
    ledgerDocuments,
    history: createStockHistory(ledgerDocuments),
    outbox,
    auditStore: createStockAuditStore(ledgerDocuments, productDocuments),
  };
}
