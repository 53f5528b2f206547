import { openOutbox } from "@shop/messaging";
import type { ModuleContext } from "@shop/runtime";
import type { ProductRevision } from "../../domain/product.ts";
import { createCategories, uniteCategories } from "./categories.ts";
import { createLedgerStore, openLedger } from "./ledger-store.ts";
import { createProductSearch } from "./product-search.ts";
import { createProductStore, openProducts } from "./product-store.ts";
import { completeSkuKeys } from "./sku-keys.ts";
import { createStockAuditStore } from "./stock-audit-store.ts";
import { createStockHistory } from "./stock-history.ts";
import { openVocabulary } from "./vocabulary.ts";

/** Opens the service's stores on a database, with their indexes; and `shown` is told of stock that moved before the ledger publishes it. */
export async function openStores({
  db,
  bus,
  log,
  shown,
}: Pick<ModuleContext<unknown>, "db" | "bus" | "log"> & {
  readonly shown: (products: readonly ProductRevision[]) => Promise<void>;
}) {
  const vocabulary = await openVocabulary(db);
  const productDocuments = await openProducts(db, vocabulary, log);
  await completeSkuKeys(productDocuments, log);
  await uniteCategories(db, productDocuments);
  const ledgerDocuments = await openLedger(db);
  const outbox = await openOutbox(ledgerDocuments, { label: "inventory", bus, log });
  const products = createProductStore(productDocuments, vocabulary);
  const ledger = createLedgerStore({
    client: db.client,
    ledger: ledgerDocuments,
    products: productDocuments,
    vocabulary,
    outbox,
    shown,
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
