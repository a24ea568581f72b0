// One change of the taxonomy, and what it did or would do to products and corrections.

import { h } from "../core/dom.js";
import { formatDate, formatNumber } from "../core/language.js";
import { dataTable } from "../widgets/data-table.js";
import { text } from "./messages.js";

/** @param {string} name @param {Record<string, string>} names */
const named = (name, names) => names[name] ?? name;

/** @param {TaxonomyChange} change */
export function changeView(change) {
  return h("article", { class: "panel stack" },
    h("div", { class: "row spread" }, h("h3", {}, () => `${text().version(change.from)} → ${text().version(change.to)}`),
      h("span", { class: "small soft" }, () => `${formatDate(change.created)} ${text().by} ${change.actor}`)),
    h("ul", { class: "stack tight" }, change.changes.map((one) => h("li", { class: "small" },
      h("span", { class: "strong" }, () => named(String(one.do), text().actions)), " ", h("code", {}, described(one))))),
    change.effects.length > 0 ? effectsTable(change.effects) : null);
}

/** @param {TaxonomyEffect[]} effects */
function effectsTable(effects) {
  return dataTable(() => text().effects, [
    { title: () => text().action, cell: (one) => () => named(one.do, text().actions) },
    { title: () => "Code", cell: (one) => h("code", {}, one.code), heading: true },
    { title: () => text().outcome, cell: (one) => () => named(one.outcome, text().outcomes) },
    { title: () => text().becomes, cell: (one) => (one.to === null ? "–" : h("code", {}, one.to)) },
    { title: () => text().productsColumn, numeric: true, cell: (one) => () => formatNumber(one.products) },
    { title: () => text().corrections, numeric: true, cell: (one) => () => formatNumber(one.corrections) },
  ], effects).element;
}

/** @param {Record<string, unknown>} change */
function described({ do: _, ...rest }) {
  return Object.entries(rest).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
}
