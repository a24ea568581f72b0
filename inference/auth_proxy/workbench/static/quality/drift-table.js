// Monitored windows: what drifted in inputs, outputs and quality.

import { request } from "../api/client.js";
import { h } from "../core/dom.js";
import { formatDate, formatNumber, translations } from "../core/language.js";
import { common } from "../core/messages.js";
import { dataTable } from "../widgets/data-table.js";
import { emptyState, loadInto } from "../widgets/states.js";
import { text } from "./messages.js";

const names = translations({
  en: {
    verdict: "Verdict", reasons: "Why", products: "Predictions",
    verdicts: /** @type {Record<string, string>} */ ({ drift: "drift", quiet: "none", too_few: "too few products", no_reference: "nothing to compare with" }),
  },
  fr: {
    verdict: "Verdict", reasons: "Pourquoi", products: "Prédictions",
    verdicts: { drift: "dérive", quiet: "aucune", too_few: "trop peu de produits", no_reference: "rien à comparer" },
  },
});

/** @param {AbortSignal} signal */
export function driftTable(signal) {
  const place = h("div", {});
  loadInto(place, () => request("drift", { query: { limit: 10 }, signal }), ({ windows }) => (windows.length === 0 ? emptyState(() => text().noDrift) : dataTable(() => text().drift, [
    { title: () => text().window, heading: true, cell: (/** @type {DriftWindow} */ one) => () => `${formatDate(one.since)} – ${formatDate(one.until)}` },
    { title: () => names().verdict, cell: (one) => h("span", { class: `badge ${one.verdict === "drift" ? "warn" : one.verdict === "quiet" ? "good" : ""}` }, () => names().verdicts[one.verdict] ?? one.verdict) },
    { title: () => names().reasons, cell: (one) => h("ul", {}, one.reasons.map((reason) => h("li", { class: "small" }, reason))) },
    { title: () => names().products, numeric: true, cell: (one) => () => formatNumber(one.products) },
    { title: () => common().release, cell: (one) => h("code", { class: "small" }, one.release) },
  ], windows).element), signal);
  return place;
}
