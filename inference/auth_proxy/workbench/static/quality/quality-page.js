// How good the release in service is, where it errs, and what people say about it.

import { labelOfCode, loadTaxonomy } from "../api/categories.js";
import { request } from "../api/client.js";
import { h } from "../core/dom.js";
import { formatDate } from "../core/language.js";
import { placeUrl, rememberFilters } from "../core/router.js";
import { labelled, selectField } from "../widgets/labelled.js";
import { emptyState, loadInto } from "../widgets/states.js";
import { driftTable } from "./drift-table.js";
import { text } from "./messages.js";
import { calibrationChart, coverageChart, feedbackCharts, releaseChart } from "./quality-charts.js";
import { categoryTable, confusionTable, modelTable } from "./score-tables.js";
import { suspectList } from "./suspect-list.js";

/** @type {import("../shell/pages.js").Mount} */
export async function mount(page, { query, signal }) {
  const content = h("div", { class: "stack loose" });
  const suspectsOf = query.get("suspects") ?? "";
  let release = query.get("release") ?? "";
  const actions = h("div", { class: "page-actions no-print" });
  page.append(h("div", { class: "page-head" }, h("h1", {}, () => text().title), actions), content);
  await load();
  if (suspectsOf) page.querySelector("#suspects")?.scrollIntoView();

  async function load() {
    content.replaceChildren();
    await loadInto(content, async () => {
      const [quality] = await Promise.all([request("quality", { query: { release }, signal }), loadTaxonomy().catch(() => null)]);
      return /** @type {Quality} */ (quality);
    }, show, signal);
  }

  /** @param {Quality} quality */
  function show(quality) {
    if (quality.release === null) return emptyState(() => text().empty, () => text().emptyHint);
    showReleases(quality);
    return [
      modelTable(quality.scores),
      h("div", { class: "columns" }, releaseChart(quality.releases), ...feedbackCharts(quality.feedback), calibrationChart(quality.calibration), coverageChart(quality.coverage)),
      h("section", { class: "stack" }, h("h2", {}, () => text().confusions), quality.confusions.length > 0 ? confusionTable(quality.confusions) : h("p", { class: "callout small" }, () => text().old)),
      h("section", { class: "stack" }, h("h2", {}, () => text().byCategory), categoryTable(quality.by_category)),
      h("section", { class: "stack", id: "suspects" },
        h("div", { class: "row" }, h("h2", {}, () => (suspectsOf ? text().suspectsOf(labelOfCode(suspectsOf)) : text().suspects)),
          suspectsOf ? h("a", { href: placeUrl("quality", { release }) }, () => text().allSuspects) : null),
        suspectList(quality.release, suspectsOf, signal)),
      h("section", { class: "stack" }, h("h2", {}, () => text().drift), driftTable(signal)),
    ];
  }

  /** @param {Quality} quality */
  function showReleases({ release: chosen, releases }) {
    const field = selectField(releases.map((one) => [one.release, () => `${formatDate(one.created)} · ${one.release}`]), chosen ?? "", {
      onchange: () => {
        release = field.value;
        rememberFilters({ release, suspects: suspectsOf });
        load();
      },
    });
    actions.replaceChildren(labelled(() => text().of, field));
  }
}
