// Releases: what was trained, what is in service, and why.

import { loadTaxonomy } from "../api/categories.js";
import { request } from "../api/client.js";
import { mayAct } from "../api/session.js";
import { h } from "../core/dom.js";
import { formatDate, formatScore } from "../core/language.js";
import { common } from "../core/messages.js";
import { rememberFilters } from "../core/router.js";
import { pagedTable } from "../widgets/data-table.js";
import { labelled, selectField } from "../widgets/labelled.js";
import { emptyState, loadInto } from "../widgets/states.js";
import { releaseState, releaseTone, text } from "./messages.js";
import { releaseActions } from "./release-actions.js";
import { comparisonView, releaseView } from "./release-view.js";

/** @type {import("../shell/pages.js").Mount} */
export async function mount(page, { query, signal }) {
  /** @type {string[]} */
  let known = [];
  const detail = h("section", { class: "stack", "aria-live": "polite" });
  const isAdmin = mayAct("admin");
  const actions = releaseActions(() => { table.reload(); if (query.get("release")) open(query.get("release") ?? ""); }, signal);
  const table = pagedTable({
    caption: () => text().title,
    columns: [
      { title: () => common().release, heading: true, cell: (/** @type {Release} */ one) => h("button", { type: "button", class: "plain", onclick: () => open(one.release) }, h("code", {}, one.release)) },
      { title: () => common().state, cell: (one) => h("span", { class: `badge ${releaseTone(one.state)}` }, () => releaseState(one.state)) },
      { title: () => text().f1, numeric: true, cell: (one) => () => formatScore(one.weighted_f1) },
      { title: () => text().products, numeric: true, cell: (one) => () => text().count(one.products) },
      { title: () => text().corrections, numeric: true, cell: (one) => () => text().count(one.corrections) },
      { title: () => text().verdict, cell: (one) => h("span", { class: "small clamp" }, one.verdict?.reasons[0] ?? "–") },
      { title: () => common().created, cell: (one) => h("time", { datetime: one.created }, () => formatDate(one.created)) },
      ...(isAdmin ? [{ title: () => common().actions, cell: (/** @type {Release} */ one) => h("div", { class: "row" }, actions.buttons(one)) }] : []),
    ],
    load: async (cursor) => {
      const found = await request("releases", { query: { cursor, limit: 20 }, signal });
      known = [...new Set([...(cursor ? known : []), ...found.items.map((/** @type {Release} */ one) => one.release)])];
      return found;
    },
    empty: () => emptyState(() => text().empty, () => text().emptyHint),
    signal,
  });

  page.append(h("div", { class: "page-head" }, h("h1", {}, () => text().title), isAdmin ? h("div", { class: "page-actions" }, actions.rollBack()) : null), table.element, detail);
  await Promise.all([table.reload(), loadTaxonomy().catch(() => null)]);
  const chosen = query.get("release") ?? "";
  if (chosen) await open(chosen, query.get("with") ?? "");

  /** @param {string} release @param {string} [other] The release to compare with. */
  async function open(release, other = "") {
    rememberFilters({ release, with: other });
    query.set("release", release);
    detail.replaceChildren();
    await loadInto(detail, () => Promise.all([release, other].filter(Boolean).map((id) => /** @type {Promise<ReleaseDetail>} */ (request(`releases/${id}`, { signal })))),
      ([one, another]) => [compareWith(release, other), another ? comparisonView(one, another) : null, h("div", { class: "panel" }, releaseView(one))], signal);
  }

  /** @param {string} release @param {string} other */
  function compareWith(release, other) {
    const others = known.filter((id) => id !== release);
    if (others.length === 0) return null;
    const field = selectField([["", () => text().none], ...others.map((id) => /** @type {[string, () => string]} */ ([id, () => id]))], other, { onchange: () => { open(release, field.value); } });
    return h("div", { class: "filters no-print" }, labelled(() => text().compare, field));
  }
}
