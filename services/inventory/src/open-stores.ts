import { createOutbox, createOutboxUpkeep, ensureOutboxIndex, type ModuleContext } from "@shop/platform";
import { createLedgerStore, openLedger } from "./store/ledger-store.ts";
import { createProductStore, openProducts } from "./store/product-store.ts";
import { createStockAuditStore } from "./store/stock-audit-store.ts";
import { createStockHistory } from "./store/stock-history.ts";

/** Opens the service's stores on a database, with their indexes; the ledger publishes through the outbox. */
export async function openStores({ db, bus, log }: Pick<ModuleContext<unknown>, "db" | "bus" | "log">) {
  const productDocuments = await openProducts(db);
  const ledgerDocuments = await openLedger(db);
  await ensureOutboxIndex(ledgerDocuments);
  const outbox = createOutbox(ledgerDocuments, bus, log);
  const upkeep = createOutboxUpkeep(ledgerDocuments, bus);
  const ledger = createLedgerStore({
    client: db.client,
    ledger: ledgerDocuments,
    products: productDocuments,
    outbox,
  });
  return {
    products: createProductStore(productDocuments),
    productDocuments,
    ledger,
    ledgerDocuments,
    history: createStockHistory(ledgerDocuments),
    outbox,
    upkeep,
    auditStore: createStockAuditStore(ledgerDocuments, productDocuments),
  };
}
