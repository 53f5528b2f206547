import { benchAudit } from "./audit-bench.ts";
import { benchCalls } from "./calls-bench.ts";
import { benchChaos } from "./chaos-bench.ts";
import { benchFairShares } from "./fair-shares-bench.ts";
import { benchFuzz } from "./fuzz-bench.ts";
import { benchHttp } from "./http-bench.ts";
import { benchMutants } from "./mutants-bench.ts";
import { benchOrders } from "./orders-bench.ts";
import { benchOverload } from "./overload-bench.ts";
import { benchReads } from "./reads-bench.ts";
import { benchRefusals } from "./refusals-bench.ts";
import { benchShapes } from "./shapes-bench.ts";
import { benchSignIns } from "./sign-in-bench.ts";
import { benchStart } from "./start-bench.ts";
import { benchStorm } from "./storm-bench.ts";
import { benchTraces } from "./traces-bench.ts";
import { benchWatches } from "./watches-bench.ts";

/** Each returns its result as Markdown. */
export const benches = {
  start: benchStart,
  http: benchHttp,
  reads: benchReads,
  calls: benchCalls,
  orders: benchOrders,
  overload: benchOverload,
  "sign-ins": benchSignIns,
  refusals: benchRefusals,
  "fair-shares": benchFairShares,
  audit: benchAudit,
  shapes: benchShapes,
  traces: benchTraces,
  watches: benchWatches,
  chaos: benchChaos,
  storm: benchStorm,
  mutants: benchMutants,
  fuzz: benchFuzz,
};

export type BenchName = keyof typeof benches;
