// Quality over releases, over confidence and over time.

import { h } from "../core/dom.js";
import { formatDate, formatNumber, formatPercent, formatScore } from "../core/language.js";
import { lineChart } from "../widgets/chart.js";
import { text } from "./messages.js";

const old = () => h("p", { class: "callout small" }, () => text().old);

/** @param {Quality["releases"]} releases Newest first. */
export function releaseChart(releases) {
  const ordered = releases.filter(({ weighted_f1: score }) => score !== null).reverse();
  if (ordered.length === 0) return null;
  return lineChart({
    title: () => text().overReleases, axis: () => text().of, format: formatScore,
    labels: ordered.map(({ created }) => () => formatDate(created).split(",")[0]),
    series: [{ label: () => text().weighted, values: ordered.map((one) => one.weighted_f1) }, { label: () => text().macro, values: ordered.map((one) => one.macro_f1) }],
  });
}

/** @param {Quality["calibration"]} bins */
export function calibrationChart(bins) {
  if (bins.length === 0) return old();
  return lineChart({
    title: () => text().calibration, axis: () => text().confidence, format: (value) => formatPercent(value), range: [0, 1],
    labels: bins.map(({ confidence }) => () => formatPercent(confidence)),
    series: [{ label: () => text().right, values: bins.map((one) => one.accuracy) }, { label: () => text().ideal, values: bins.map((one) => one.confidence) }],
  });
}

/** @param {Quality["coverage"]} points */
export function coverageChart(points) {
  if (points.length === 0) return null;
  return lineChart({
    title: () => text().coverage, axis: () => text().coverageAxis, format: (value) => formatPercent(value), range: [0, 1],
    labels: points.map(({ precision }) => () => formatPercent(precision, 1)),
    series: [{ label: () => text().coverageSeries, values: points.map((one) => one.coverage) }],
  });
}

/** @param {Quality["feedback"]} days */
export function feedbackCharts(days) {
  if (days.length === 0) return [h("p", { class: "callout small" }, () => text().noFeedback)];
  const labels = days.map(({ day }) => () => formatDate(`${day}T00:00:00`).split(",")[0]);
  return [
    lineChart({
      title: () => text().feedback, axis: () => text().day, format: formatNumber, labels,
      series: [{ label: () => text().given, values: days.map((one) => one.corrections) }, { label: () => text().confirmations, values: days.map((one) => one.confirmations) },
        { label: () => text().accepted, values: days.map((one) => one.accepted) }],
    }),
    lineChart({
      title: () => text().acceptance, axis: () => text().day, format: (value) => formatPercent(value), range: [0, 1], labels,
      series: [{ label: () => text().acceptance, values: days.map((one) => one.acceptance_rate) }],
    }),
  ];
}
