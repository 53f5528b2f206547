import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchName } from "./benches.ts";
import { type Plot, type Point, svgPlot } from "./svg-plot.ts";

/** Reads a figure from the text of a result; undefined if that result does not have it. */
type Figure = (text: string) => number | undefined;

interface BenchPlot extends Omit<Plot, "series"> {
  readonly figures: Readonly<Record<string, Figure>>;
}

const results = join(import.meta.dirname, "../results");
const plots = join(import.meta.dirname, "../plots");
const floor = { value: 1, label: "the floor" };

/** Of each bench: the figures that are followed over time. */
const benchPlots: Readonly<Record<BenchName, BenchPlot>> = {
  start: {
    title: "start: npm start to ready",
    unit: "seconds",
    figures: { "warm start, median": matched(/Warm start to ready: median ([\d.]+) s/) },
  },
  http: {
    title: "http: calls at the public port, beside bare Fastify",
    unit: "ratio to the floor",
    reference: floor,
    figures: {
      "GET /products/{id}, REST": cell("GET /products/{id}, REST", "ratio"),
      "CreateOrder, REST": cell("CreateOrder, REST", "ratio"),
    },
  },
  reads: {
    title: "reads: cached reads over REST, beside bare Fastify",
    unit: "ratio to the floor",
    reference: floor,
    figures: {
      "one product": cell("GET /products/{id}", "ratio"),
      "pages of 20": cell("GET /products?page_size=20", "ratio"),
    },
  },
  calls: {
    title: "calls: a unary call, beside bare Fastify and @grpc/grpc-js",
    unit: "ratio to the floor",
    reference: floor,
    figures: {
      "Connect with JSON": cell("Connect JSON, the platform", "ratio"),
      gRPC: cell("gRPC, the platform", "ratio"),
    },
  },
  orders: {
    title: "orders: to their final state, beside single journaled inserts",
    unit: "ratio to the floor",
    reference: floor,
    figures: {
      "spread over 1,000 products": cell("spread over 1000 products", "ratio to the floor"),
      "one popular product": either(
        cell("one popular product", "ratio to the floor"),
        cell("one hot product", "ratio to the floor"),
      ),
    },
  },
  overload: {
    title: "overload: accepted orders at twice the capacity, to their final state",
    unit: "milliseconds",
    reference: { value: 2_000, label: "bound of the p99" },
    figures: { p50: cell("overload", "end p50 ms"), p99: cell("overload", "p99 ms", 1) },
  },
  "sign-ins": {
    title: "sign-ins: beside a loop that only compares passwords",
    unit: "ratio to the floor",
    reference: floor,
    figures: {
      "sign-ins": (text) => {
        const [rate, loop] = [cell("sign-ins", "a second")(text), cell("floor: a loop", "a second")(text)];
        return rate === undefined || loop === undefined ? undefined : rate / loop;
      },
    },
  },
  refusals: {
    title: "refusals: the most expensive refused request",
    unit: "CPU milliseconds",
    reference: { value: 20, label: "bound" },
    figures: { "of all methods": most("CPU ms") },
  },
  "fair-shares": {
    title: "fair-shares: p99 of customers beside one abuser",
    unit: "ratio to the p99 without it",
    reference: { value: 2, label: "target" },
    figures: {
      reads: cell("reads, abuse", "p99 to calm"),
      "sign-ins": cell("sign-ins, abuse", "p99 to calm"),
      orders: cell("orders, abuse", "p99 to calm"),
    },
  },
  audit: {
    title: "audit: p99 of orders beside consecutive audits",
    unit: "ratio to the p99 without them",
    reference: { value: 1, label: "no effect" },
    figures: { orders: cell("audited", "p99 to calm") },
  },
  shapes: {
    title: "shapes: CPU per call in four processes, or in two workers, beside one process",
    unit: "ratio to one process",
    reference: { value: 1, label: "one process" },
    figures: {
      "an order, four": cell("CreateOrder, REST: four processes", "ratio"),
      "a product, four": cell("GET /products/{id}: four processes", "ratio"),
      "a page, four": cell("GET /products?page_size=20: four processes", "ratio"),
      "an order, workers": cell("CreateOrder, REST: one process, 2 workers", "ratio"),
    },
  },
  traces: {
    title: "traces: CPU per order with tracing, beside none",
    unit: "ratio to no tracing",
    reference: { value: 1, label: "no tracing" },
    figures: {
      "nothing sampled": increased(cell("on, nothing sampled", "increase")),
      "10% sampled": increased(cell("on, 10% sampled", "increase")),
    },
  },
  watches: {
    title: "watches: from a change to its message, p99, 10,000 watches",
    unit: "milliseconds",
    figures: {
      "orders, REST": cell("10000 orders, REST", "p99 ms"),
      "orders, gRPC": cell("10000 orders, gRPC", "p99 ms"),
      "one product": cell("one product, REST", "p99 ms"),
    },
  },
  chaos: {
    title: "chaos: from the last fault until all is right",
    unit: "seconds",
    figures: {
      recovery: either(
        cell("from the last fault until no problem was left, seconds", ""),
        cell("from the last hit until all was right, seconds", ""),
      ),
    },
  },
  storm: {
    title: "storm: seconds with an accepted order, a process killed every 1.25 s",
    unit: "percent",
    reference: { value: 30, label: "at least" },
    figures: { "of all seconds": cell("seconds with an accepted order", "") },
  },
  mutants: {
    title: "mutants: planted bugs that the fault run found",
    unit: "percent",
    reference: { value: 100, label: "all" },
    figures: { "of those planted": foundMutants },
  },
  fuzz: {
    title: "fuzz: exceptions of our own code",
    unit: "contained exceptions",
    figures: { "in an hour": matched(/exceptions contained: (\d+)/) },
  },
};

/**
 * The plot of each bench that has results, by the name of its file.
 *
 * @throws Error if a result of a bench lacks one of its figures
 */
export function plotFiles(): ReadonlyMap<string, string> {
  const files = readdirSync(results).toSorted();
  return new Map(
    Object.entries(benchPlots).flatMap(([bench, { figures, ...plot }]): [string, string][] => {
      const own = files.filter((file) => file.slice("2026-11-22-".length) === `${bench}.md`);
      const series = Object.entries(figures).map(([label, figure]) => ({
        label,
        points: own.map((file) => pointOf(file, label, figure)),
      }));
      return own.length === 0 ? [] : [[`${bench}.svg`, svgPlot({ ...plot, series })]];
    }),
  );
}

/** Draws the plots of all recorded results again. */
export function writePlots(): void {
  mkdirSync(plots, { recursive: true });
  for (const [file, svg] of plotFiles()) writeFileSync(join(plots, file), svg);
}

/** Results begin with `- 2026-11-22 21:25 UTC`. */
function pointOf(file: string, label: string, figure: Figure): Point {
  const text = readFileSync(join(results, file), "utf8");
  const [, day, time] = /^- (\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC/m.exec(text) ?? [];
  const value = figure(text);
  if (day === undefined || value === undefined)
    throw new Error(
      `bench/results/${file} lacks its time or "${label}": plots.ts has to read the words that the bench writes`,
    );
  return { time: new Date(`${day}T${time}:00Z`), value };
}

function matched(pattern: RegExp): Figure {
  return (text) => numberIn(pattern.exec(text)?.[1]);
}

/** The rows of all tables, with the headers of their columns. Emphasis is removed. */
function rowsOf(text: string): { readonly headers: readonly string[]; readonly cells: readonly string[] }[] {
  let headers: readonly string[] | undefined;
  return text.split("\n").flatMap((row) => {
    if (!row.startsWith("|")) {
      headers = undefined;
      return [];
    }
    const cells = row
      .split("|")
      .slice(1, -1)
      .map((one) => one.replaceAll("**", "").trim());
    if (headers === undefined) {
      headers = cells;
      return [];
    }
    if (cells.every((one) => /^-+:?$/.test(one))) return [];
    return [{ headers, cells }];
  });
}

/**
 * The cell of the first row that begins with `row` in the column of that header. Two leading cells are written `a, b`.
 *
 * @param again how many columns of the same header to skip
 */
function cell(row: string, column: string, again = 0): Figure {
  return (text) => {
    const found = rowsOf(text).find(({ cells }) => cells[0] === row || `${cells[0]}, ${cells[1]}` === row);
    if (found === undefined) return undefined;
    const columns = found.headers.flatMap((header, index) => (index > 0 && header === column ? [index] : []));
    return numberIn(found.cells[columns[again] ?? -1]);
  };
}

/** The ratio of which a figure tells the increase, in percent. */
function increased(percent: Figure): Figure {
  return (text) => {
    const increase = percent(text);
    return increase === undefined ? undefined : 1 + increase / 100;
  };
}

/** The highest value of a column. */
function most(column: string): Figure {
  return (text) => {
    const values = rowsOf(text).flatMap(({ headers, cells }) => numberIn(cells[headers.indexOf(column)]) ?? []);
    return values.length === 0 ? undefined : Math.max(...values);
  };
}

/** A figure whose row was named differently once. */
function either(now: Figure, before: Figure): Figure {
  return (text) => now(text) ?? before(text);
}

function foundMutants(text: string): number | undefined {
  const asExpected = rowsOf(text)
    .filter(({ cells }) => cells[0] !== "none")
    .flatMap(({ headers, cells }) => {
      const column = headers.findIndex((header) => ["as expected", "as it should be"].includes(header));
      return column === -1 ? [] : [cells[column]!];
    });
  if (asExpected.length === 0) return undefined;
  return (100 * asExpected.filter((answer) => answer.startsWith("yes")).length) / asExpected.length;
}

function numberIn(text: string | undefined): number | undefined {
  const number = Number.parseFloat(text ?? "");
  return Number.isNaN(number) ? undefined : number;
}
