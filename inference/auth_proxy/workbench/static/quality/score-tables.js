// Scores of a release: by model, by category, and the pairs of categories it confuses.

import { labelOfCode } from "../api/categories.js";
import { h } from "../core/dom.js";
import { formatNumber, formatPercent, formatScore } from "../core/language.js";
import { placeUrl } from "../core/router.js";
import { dataTable } from "../widgets/data-table.js";
import { text } from "./messages.js";

/** @param {Record<string, ModelScores>} scores */
export function modelTable(scores) {
  return dataTable(() => text().scores, [
    { title: () => text().model, heading: true, cell: ([kind]) => () => /** @type {Record<string, string>} */ (text().models)[kind] ?? kind },
    { title: () => text().weighted, numeric: true, cell: ([, one]) => () => formatScore(one.weighted_f1) },
    { title: () => text().macro, numeric: true, cell: ([, one]) => () => formatScore(one.macro_f1) },
    { title: () => text().accuracy, numeric: true, cell: ([, one]) => () => formatScore(one.accuracy) },
    { title: () => text().calibrationError, numeric: true, cell: ([, one]) => () => formatScore(one.ece) },
    { title: () => text().coverage99, numeric: true, cell: ([, one]) => () => formatPercent(one.coverage_at_99) },
    { title: () => text().items, numeric: true, cell: ([, one]) => () => formatNumber(one.items) },
  ], Object.entries(scores)).element;
}

/** @param {CategoryQuality[]} categories */
export function categoryTable(categories) {
  return dataTable(() => text().byCategory, [
    { title: () => text().category, heading: true, cell: (one) => h("a", { href: placeUrl("quality", { suspects: String(one.code) }) }, () => labelOfCode(one.code, one.label)) },
    { title: () => "F1", numeric: true, cell: (one) => () => formatScore(one.f1) },
    { title: () => text().precision, numeric: true, cell: (one) => () => formatScore(one.precision) },
    { title: () => text().recall, numeric: true, cell: (one) => () => formatScore(one.recall) },
    { title: () => text().acceptedShare, numeric: true, cell: (one) => () => formatPercent(one.accepted_coverage) },
    { title: () => text().acceptedPrecision, numeric: true, cell: (one) => () => formatPercent(one.accepted_precision, 1) },
    { title: () => text().items, numeric: true, cell: (one) => () => formatNumber(one.items) },
  ], categories).element;
}

/** @param {Confusion[]} pairs */
export function confusionTable(pairs) {
  return dataTable(() => text().confusions, [
    { title: () => text().truth, heading: true, cell: (one) => () => labelOfCode(one.code, one.label) },
    { title: () => text().predicted, cell: (one) => () => labelOfCode(one.predicted, one.predicted_label) },
    { title: () => text().items, numeric: true, cell: (one) => () => formatNumber(one.items) },
    { title: () => text().open, cell: (one) => h("div", { class: "row" },
      h("a", { href: placeUrl("quality", { suspects: String(one.code) }), "aria-label": () => text().openPair(labelOfCode(one.code, one.label), labelOfCode(one.predicted, one.predicted_label)) }, () => text().open),
      h("a", { href: placeUrl("review", { state: "all", category: String(one.code) }) }, () => text().corrections)) },
  ], pairs.slice(0, 30)).element;
}
