// One release: its verdict, its data, and a comparison with another one.

import { labelOfCode } from "../api/categories.js";
import { h } from "../core/dom.js";
import { formatDate, formatScore } from "../core/language.js";
import { placeUrl } from "../core/router.js";
import { barChart } from "../widgets/chart.js";
import { dataTable } from "../widgets/data-table.js";
import { releaseState, releaseTone, text } from "./messages.js";

const BARS = 12;

/** @param {ReleaseDetail} release */
export function releaseView(release) {
  const { verdict } = release;
  return h("div", { class: "stack" },
    h("div", { class: "row" }, h("h2", {}, h("code", {}, release.release)), h("span", { class: `badge ${releaseTone(release.state)}` }, () => releaseState(release.state)),
      h("a", { href: placeUrl("quality", { release: release.release }) }, () => text().openQuality)),
    h("section", { class: "stack tight" }, h("h3", {}, () => text().verdict),
      h("p", {}, h("span", { class: `badge ${verdict?.promoted ? "good" : "warn"}` }, () => (verdict ? (verdict.promoted ? text().promoted : text().refused) : text().undecided)),
        verdict ? () => ` ${formatDate(verdict.decided)}` : null),
      h("ul", { class: "stack tight" }, (verdict?.reasons ?? []).map((reason) => h("li", {}, reason)))),
    h("dl", { class: "facts" },
      h("dt", {}, () => text().f1), h("dd", {}, () => formatScore(release.weighted_f1)),
      h("dt", {}, () => text().products), h("dd", {}, () => text().count(release.products)),
      h("dt", {}, () => text().corrections), h("dd", {}, () => text().count(release.corrections)),
      h("dt", {}, () => text().categories), h("dd", {}, () => text().count(release.categories)),
      h("dt", {}, () => text().data), h("dd", {}, h("code", { class: "small" }, release.data_revision)),
      release.git_commit ? [h("dt", {}, () => text().commit), h("dd", {}, h("code", { class: "small" }, release.git_commit))] : null,
      release.corrections_snapshot ? [h("dt", {}, () => text().snapshot), h("dd", {}, h("code", { class: "small" }, release.corrections_snapshot))] : null,
      Object.keys(release.mlflow_runs).length > 0 ? [h("dt", {}, () => text().mlflow), h("dd", { class: "small" }, Object.entries(release.mlflow_runs).map(([kind, run]) => h("div", {}, `${kind} `, h("code", {}, run))))] : null),
    counts(() => text().byCategory, release.products_by_category), counts(() => text().correctionsByCategory, release.corrections_by_category));
}

/** @param {() => string} title @param {CategoryCount[]} found */
function counts(title, found) {
  if (found.length === 0) return null;
  const shown = found.slice(0, BARS);
  return barChart({
    title, axis: () => text().categories, format: (value) => text().count(value), labels: shown.map(({ code, label }) => () => labelOfCode(code, label)),
    series: [{ label: () => text().products, values: shown.map(({ products }) => products) }],
  });
}

/** @param {ReleaseDetail} one @param {ReleaseDetail} other */
export function comparisonView(one, other) {
  const rows = /** @type {const} */ ([[() => text().fusion, "weighted_f1"], [() => text().text, "text_weighted_f1"], [() => text().image, "image_weighted_f1"]]);
  const byCategory = f1ByCategory(one, other);
  return h("section", { class: "stack panel" }, h("h2", {}, () => text().compareTitle),
    h("p", { class: one.hold_out === other.hold_out ? "small soft" : "callout warn" }, () => (one.hold_out === other.hold_out ? text().sameHoldOut : text().otherHoldOut)),
    dataTable(() => text().compareTitle, [
      { title: () => text().score, heading: true, cell: (/** @type {typeof rows[number]} */ [name]) => name },
      { title: () => one.release, numeric: true, cell: ([, key]) => () => formatScore(one[key]) },
      { title: () => other.release, numeric: true, cell: ([, key]) => () => formatScore(other[key]) },
      { title: () => text().change, numeric: true, cell: ([, key]) => () => difference(one[key], other[key]) },
    ], [...rows]).element,
    byCategory.length > 0 ? dataTable(() => text().worst, [
      { title: () => text().worst, heading: true, cell: (/** @type {typeof byCategory[number]} */ row) => () => labelOfCode(row.code) },
      { title: () => one.release, numeric: true, cell: (row) => () => formatScore(row.one) },
      { title: () => other.release, numeric: true, cell: (row) => () => formatScore(row.other) },
      { title: () => text().change, numeric: true, cell: (row) => () => difference(row.one, row.other) },
    ], byCategory.slice(0, BARS)).element : null);
}

/** @param {number | null} one @param {number | null} other */
function difference(one, other) {
  if (one === null || other === null) return text().none;
  return `${one > other ? "+" : ""}${formatScore(one - other)}`;
}

/** Return the F1 of each category in both, the largest difference first. @param {ReleaseDetail} one @param {ReleaseDetail} other */
function f1ByCategory(one, other) {
  const [ours, theirs] = [one, other].map(({ metrics }) => /** @type {Record<string, { f1?: number }>} */ (metrics.by_category ?? {}));
  return Object.keys(ours).flatMap((code) => {
    const [a, b] = [ours[code]?.f1, theirs[code]?.f1];
    return a === undefined || b === undefined ? [] : [{ code, one: a, other: b }];
  }).sort((a, b) => Math.abs(b.one - b.other) - Math.abs(a.one - a.other));
}
