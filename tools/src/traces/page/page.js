// Shows the traces of this port's store: a list at #, a trace at #<trace id>, and a span of it at #<trace id>/<span id>.

const view = document.getElementById("view");
const text = document.getElementById("text");
const jobs = document.getElementById("jobs");
const refreshMs = 2_000;
const longestIndent = 16;

/** An element with properties and children; children that are strings become text. */
function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

const cell = (className, ...children) => element("td", { className }, ...children);
const milliseconds = (ms) => `${ms.toFixed(ms < 10 ? 2 : 1)} ms`;
const timeOf = (ms) => new Date(ms).toLocaleTimeString();

function table(columns, rows) {
  const head = columns.map((column) => element("th", { scope: "col" }, column));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

async function read(path) {
  const response = await fetch(path);
  return response.ok ? await response.json() : undefined;
}

function listOf(traces) {
  const wanted = traces.filter(
    ({ name }) => (jobs.checked || !name.startsWith("job ")) && name.toLowerCase().includes(text.value.toLowerCase()),
  );
  if (wanted.length === 0)
    return element("p", {}, "No trace yet. Call the shop, and its traces appear within seconds.");
  const rows = wanted.map(({ traceId, name, services, spans, startMs, durationMs, isError }) =>
    element(
      "tr",
      { className: isError ? "failed" : "" },
      cell("number", timeOf(startMs)),
      cell("name", element("a", { href: `#${traceId}` }, name)),
      cell("", services.join(", ")),
      cell("number", String(spans)),
      cell("number", milliseconds(durationMs)),
      cell("", isError ? "error" : ""),
    ),
  );
  return table(["time", "trace", "processes", "spans", "duration", ""], rows);
}

/** The spans in the order of the tree, with their depth. A span whose parent has not arrived begins a tree of its own. */
function inTree(spans) {
  const known = new Set(spans.map(({ spanId }) => spanId));
  const childrenOf = Map.groupBy(spans, ({ parentSpanId }) => (known.has(parentSpanId) ? parentSpanId : undefined));
  const ordered = [];
  const add = (span, depth) => {
    ordered.push({ span, depth });
    for (const child of childrenOf.get(span.spanId) ?? []) add(child, depth + 1);
  };
  for (const root of childrenOf.get(undefined) ?? []) add(root, 0);
  return ordered;
}

function barOf({ startMs, durationMs }, from, length) {
  const bar = element("div", { className: "bar" });
  // By script, since the policy of the page permits no style attributes.
  bar.style.marginInlineStart = `${((startMs - from) / length) * 100}%`;
  bar.style.width = `${(durationMs / length) * 100}%`;
  return bar;
}

function detailsOf({ attributes, links, traceState, instance, spanId }, linkedBy) {
  const facts = { ...attributes, ...(traceState && { tracestate: traceState }), process: instance };
  const to = (traceId, id, label) => element("a", { href: `#${traceId}/${id}` }, label);
  return element(
    "dl",
    {},
    ...Object.entries(facts).flatMap(([name, value]) => [
      element("dt", {}, name),
      element("dd", {}, Array.isArray(value?.values) ? JSON.stringify(value.values) : String(value)),
    ]),
    ...links.flatMap((link) => [
      element("dt", {}, "links to"),
      element("dd", {}, to(link.traceId, link.spanId, `span ${link.spanId} of trace ${link.traceId}`)),
    ]),
    ...linkedBy
      .filter((one) => one.spanId === spanId)
      .flatMap(({ from }) => [
        element("dt", {}, "linked by"),
        element("dd", {}, to(from.traceId, from.spanId, `${from.service}: ${from.name}`)),
      ]),
  );
}

function traceOf({ spans, linkedBy }, chosen) {
  const from = Math.min(...spans.map(({ startMs }) => startMs));
  const length = Math.max(...spans.map(({ startMs, durationMs }) => startMs + durationMs)) - from || 1;
  const rows = inTree(spans).map(({ span, depth }) => {
    const isLinked = span.links.length > 0 || linkedBy.some(({ spanId }) => spanId === span.spanId);
    const summary = element("summary", {}, span.name, isLinked ? " ↔" : "");
    const name = cell("name", element("details", { open: span.spanId === chosen }, summary, detailsOf(span, linkedBy)));
    name.style.paddingInlineStart = `${Math.min(depth, longestIndent) + 0.5}rem`;
    return element(
      "tr",
      { id: span.spanId, className: `${span.isError ? "failed" : ""} ${span.spanId === chosen ? "chosen" : ""}` },
      name,
      cell("", span.service),
      cell("quiet", span.kind),
      cell("number", milliseconds(span.durationMs)),
      cell("track", barOf(span, from, length)),
    );
  });
  const title = `${timeOf(from)}, ${milliseconds(length)}, ${spans.length} spans, trace ${spans[0].traceId}`;
  return element("section", {}, element("p", {}, title), table(["span", "process", "kind", "duration", ""], rows));
}

async function render() {
  const { hash } = location;
  const [traceId, spanId] = hash.slice(1).split("/");
  const answer = await read(traceId === "" ? "/traces" : `/traces/${traceId}`);
  // Meanwhile another view was opened.
  if (location.hash !== hash) return;
  if (traceId === "") {
    view.replaceChildren(listOf(answer ?? []));
    return;
  }
  const missing = "This trace has not arrived, or newer ones have replaced it.";
  view.replaceChildren(answer === undefined ? element("p", {}, missing) : traceOf(answer, spanId));
  document.getElementById(spanId)?.scrollIntoView({ block: "center" });
}

addEventListener("hashchange", () => void render());
document.getElementById("filter").addEventListener("input", () => {
  location.hash = "";
  void render();
});
setInterval(() => {
  if (location.hash.length <= 1) void render();
}, refreshMs);
await render();
