/** A plot of some figures over time. */
export interface Plot {
  readonly title: string;
  /** The label of the vertical axis, with its unit. */
  readonly unit: string;
  /** A value to compare with, drawn as a dashed line: 1 for ratios to a floor, or a bound. */
  readonly reference?: { readonly value: number; readonly label: string };
  readonly series: readonly { readonly label: string; readonly points: readonly Point[] }[];
}

export interface Point {
  readonly time: Date;
  readonly value: number;
}

const [width, height] = [720, 300];
const area = { left: 64, right: 100, top: 46, bottom: 66 };
/** Okabe and Ito's colours, which colour-blind readers can tell apart. */
const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const dayMs = 86_400_000;

/** The plot as an SVG image: days on the horizontal axis, the vertical one from zero, each value beside its point. */
export function svgPlot({ title, unit, reference, series }: Plot): string {
  const points = series.flatMap((one) => one.points);
  const times = points.map(({ time }) => time.getTime());
  const [first, last] = [Math.floor(Math.min(...times) / dayMs), Math.ceil((Math.max(...times) + 1) / dayMs)];
  const highest = Math.max(...points.map(({ value }) => value), reference?.value ?? 0);
  const step = niceStep((highest || 1) / 4);
  const most = step * (Math.floor(highest / step) + 1);
  const x = (ms: number) => area.left + ((ms / dayMs - first) / (last - first)) * (width - area.left - area.right);
  const y = (value: number) => height - area.bottom - (value / most) * (height - area.top - area.bottom);
  const ticks = Array.from({ length: Math.round(most / step) + 1 }, (_, index) => index * step);
  const dayStep = Math.ceil((last - first) / 8);
  const days = Array.from({ length: Math.floor((last - first) / dayStep) + 1 }, (_, index) => first + index * dayStep);
  /** The highest value of a time is written above its point, the lowest below, others to the right. */
  const label = ({ time, value }: Point, colour: string) => {
    const others = points.filter((other) => other.time.getTime() === time.getTime()).map((other) => other.value);
    const [isHighest, isLowest] = [value === Math.max(...others), value === Math.min(...others)];
    const anchor = `text-anchor="${isHighest || isLowest ? "middle" : "start"}" fill="${colour}"`;
    const [dx, dy] = isHighest ? [0, -8] : isLowest ? [0, 17] : [8, 4];
    return text(x(time.getTime()) + dx, y(value) + dy, short(value), anchor);
  };
  const drawn = [
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(area.left, 22, title, 'font-size="14" font-weight="bold"'),
    ...ticks.flatMap((tick) => [
      line(area.left, y(tick), width - area.right, y(tick), "#ddd"),
      text(area.left - 6, y(tick) + 4, short(tick), 'text-anchor="end"'),
    ]),
    ...days.map((day) => text(x(day * dayMs), height - area.bottom + 16, isoDay(day), 'text-anchor="middle"')),
    text((width + area.left) / 2, height - area.bottom + 32, "date (UTC)", 'text-anchor="middle"'),
    text(-(height - area.bottom + area.top) / 2, 14, unit, 'text-anchor="middle" transform="rotate(-90)"'),
    ...(reference === undefined
      ? []
      : [
          line(area.left, y(reference.value), width - area.right, y(reference.value), "#666", 'stroke-dasharray="6 4"'),
          text(width - area.right + 6, y(reference.value) + 4, reference.label, 'fill="#666"'),
        ]),
    ...series.flatMap(({ label: name, points: own }, index) => {
      const colour = colours[index % colours.length]!;
      const path = own.map(({ time, value }) => `${round(x(time.getTime()))},${round(y(value))}`).join(" ");
      const legendX = area.left + (index % 4) * 161;
      const legendY = height - 14 - (series.length > 4 && index < 4 ? 14 : 0);
      return [
        `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...own.flatMap((point) => [
          `<circle cx="${round(x(point.time.getTime()))}" cy="${round(y(point.value))}" r="4" fill="${colour}"/>`,
          label(point, colour),
        ]),
        `<circle cx="${legendX}" cy="${legendY - 4}" r="4" fill="${colour}"/>`,
        text(legendX + 9, legendY, name),
      ];
    }),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">\n${drawn.join("\n")}\n</svg>\n`;
}

/** The smallest of 1, 2 and 5 times a power of ten that is not less. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
}

const round = (value: number) => Math.round(value * 10) / 10;
const short = (value: number) => String(Number(value.toPrecision(3)));
const isoDay = (day: number) => new Date(day * dayMs).toISOString().slice(0, 10);

function line(x1: number, y1: number, x2: number, y2: number, colour: string, more = ""): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${colour}" ${more}/>`;
}

function text(x: number, y: number, content: string, more = ""): string {
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
