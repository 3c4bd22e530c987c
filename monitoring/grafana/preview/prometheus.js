// Queries of a panel, asked of a real Prometheus, as the data frames that Grafana's components take.

import { FieldType, toDataFrame } from "@grafana/data";

const SCRAPE_S = 5;

/** @param {{url: string, from: number, to: number}} place times in seconds */
export async function framesOf(panel, place) {
  const targets = panel.targets ?? [];
  const found = await Promise.all(targets.map((target) => ask(target, place, targets.length > 1)));
  return found.flat();
}

async function ask(target, { url, from, to }, isOneOfMany) {
  const step = Math.max(SCRAPE_S, Math.ceil((to - from) / 300));
  const expr = target.expr
    .replaceAll("$account", ".+")
    .replaceAll("$__rate_interval", `${Math.max(4 * SCRAPE_S, step + SCRAPE_S)}s`);
  const words = target.instant ? { query: expr, time: to } : { query: expr, start: from, end: to, step };
  const where = target.instant ? "query" : "query_range";
  const answer = await fetch(`${url}/api/v1/${where}?${new URLSearchParams(words)}`);
  const { status, error, data } = await answer.json();
  if (status !== "success") throw new Error(`${target.expr}: ${error}`);
  if (target.format === "table") return [tabled(target, data.result, isOneOfMany)];
  return data.result.map((series) => lined(target, series, from, to, step));
}

/** One frame with a column for each label; like Grafana's, its value says whose it is where there are many. */
function tabled(target, result, isOneOfMany) {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: "Time", type: FieldType.time, values: result.map(({ value }) => value[0] * 1000) },
      ...labels.map((name) => ({ name, type: FieldType.string, values: result.map(({ metric }) => metric[name]) })),
      {
        name: isOneOfMany ? `Value #${target.refId}` : "Value",
        type: FieldType.number,
        values: result.map(({ value }) => Number(value[1])),
      },
    ],
  });
}

/** One frame a series; a step without a sample, or with NaN, is null: a line ends where nothing is known. */
function lined(target, { metric, values, value }, from, to, step) {
  const samples = new Map((values ?? [value]).map(([at, number]) => [at, Number(number)]));
  const times = values ? Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, n) => from + n * step) : [value[0]];
  const legend = (target.legendFormat ?? "").replace(/{{(\w+)}}/g, (_, label) => metric[label] ?? "").trim();
  return toDataFrame({
    refId: target.refId,
    name: legend,
    fields: [
      { name: "Time", type: FieldType.time, values: times.map((at) => at * 1000) },
      {
        name: "Value",
        type: FieldType.number,
        labels: metric,
        config: { displayNameFromDS: legend },
        values: times.map((at) => (Number.isFinite(samples.get(at)) ? samples.get(at) : null)),
      },
    ],
  });
}
