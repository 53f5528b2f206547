// `npm run bench -- [start] [http] [reads] ...`: runs the named benches, by default start and http, and prints the results;
// with `--record` also writes them to bench/results/.
import { parseArgs } from "node:util";
import { type BenchName, benches } from "./benches.ts";
import { serveGrpcJs, servePlatform } from "./call-servers.ts";
import { serveFloor } from "./floor.ts";
import { compareHashes } from "./hash-floor.ts";
import { insertOrders } from "./insert-floor.ts";
import { generateLoad } from "./load.ts";
import { writePlots } from "./plots.ts";
import { startReport } from "./report.ts";
import { watchInPart } from "./watch-load.ts";

const usual = ["start", "http"] as const;
/** The tasks of this file in a child process. */
const parts: Readonly<Record<string, () => Promise<void>>> = {
  floor: serveFloor,
  load: generateLoad,
  inserts: insertOrders,
  hashes: compareHashes,
  platform: servePlatform,
  "grpc-js": serveGrpcJs,
  watchers: watchInPart,
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "5" },
    rounds: { type: "string", default: "2" },
    seconds: { type: "string" },
    connections: { type: "string" },
    workers: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    minutes: { type: "string" },
    victim: { type: "string", default: "all" },
    buyers: { type: "string", default: "96" },
    note: { type: "string", default: "" },
    record: { type: "boolean", default: false },
  },
});
const part = parts[positionals[0] ?? ""];
const chosen: readonly string[] = positionals.length === 0 ? usual : positionals;

if (part !== undefined) await part();
else if (positionals[0] === "plots") writePlots();
else if (chosen.every((name): name is BenchName => name in benches)) {
  const settings = {
    runs: Number(values.runs),
    rounds: Number(values.rounds),
    seconds: values.seconds === undefined ? undefined : Number(values.seconds),
    connections: values.connections === undefined ? undefined : Number(values.connections),
    workers: Number(values.workers),
    seed: Number(values.seed),
    minutes: values.minutes === undefined ? undefined : Number(values.minutes),
    victim: values.victim,
    buyers: Number(values.buyers),
  };
  for (const name of chosen) {
    const isPart = name === "chaos" && values.victim !== "all";
    const report = startReport(isPart ? `${name}-${values.victim}` : name, values.note, { record: values.record });
    report(await benches[name](settings));
  }
} else {
  console.error(
    "npm run bench -- [start] [http] [reads] [calls] [orders] [overload] [sign-ins] [refusals] [fair-shares] [audit] [shapes] [traces] [watches] [--runs 5] [--rounds 2] [--seconds 8] [--connections 32]\n" +
      "npm run bench -- http|reads [--workers 1]\n" +
      "npm run bench -- chaos [--seed 1] [--minutes 5] [--buyers 96] [--victim all|each|orders|inventory|users|gateway|" +
      "mongo-primary|mongo-secondary|nats|redis|links]\n" +
      "npm run bench -- storm [--minutes 1]\n" +
      "npm run bench -- mutants [--seed 1]\n" +
      "npm run bench -- fuzz [--seed 1] [--minutes 60]\n" +
      "npm run bench -- plots\n" +
      "each with --record to write the result to bench/results/, and --note '...' to add a note to it",
  );
  process.exitCode = 1;
}
