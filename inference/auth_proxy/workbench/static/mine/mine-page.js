// What the user classified and answered, and what became of each answer.

import { labelOfCode, loadTaxonomy } from "../api/categories.js";
import { request } from "../api/client.js";
import { listCorrections, undo } from "../api/feedback.js";
import { currentUser, mayAct } from "../api/session.js";
import { h } from "../core/dom.js";
import { formatAge, formatPercent } from "../core/language.js";
import { common, stateMeaning } from "../core/messages.js";
import { notify, notifyFailure } from "../shell/notices.js";
import { pagedTable } from "../widgets/data-table.js";
import { productPhoto } from "../widgets/product-photo.js";
import { productName } from "../widgets/product-text.js";
import { stateBadge } from "../widgets/state-badge.js";
import { emptyState } from "../widgets/states.js";
import { text } from "./messages.js";

/** @param {Product | null} product */
const productCell = (product) => h("div", { class: "row" }, productPhoto(product?.image_sha256, () => productName(product), { thumbnail: true }),
  h("span", { class: "grow clamp", lang: "fr" }, () => productName(product)));

/** @type {import("../shell/pages.js").Mount} */
export async function mount(page, { signal }) {
  await loadTaxonomy().catch(() => null);
  if (signal.aborted) return;
  const corrections = correctionTable(signal);
  const predictions = predictionTable(signal);
  page.append(h("h1", {}, () => text().title),
    h("section", { class: "stack" }, h("h2", {}, () => text().corrections), corrections.element),
    h("section", { class: "stack" }, h("h2", {}, () => text().predictions), predictions.element));
  await Promise.all([corrections.reload(), predictions.reload()]);
}

/** @param {AbortSignal} signal */
function correctionTable(signal) {
  const own = mayAct("reviewer") ? currentUser()?.name : null;
  const table = pagedTable({
    caption: () => text().corrections,
    columns: [
      { title: () => common().product, heading: true, cell: (/** @type {Correction} */ one) => productCell(one.product) },
      { title: () => text().answer, cell: (one) => h("div", {}, h("span", { class: "strong" }, () => labelOfCode(one.code, one.label)),
        h("p", { class: "small soft" }, () => (one.predicted === null ? "" : String(one.predicted) === String(one.code) ? text().confirmation
          : `${text().instead} ${labelOfCode(one.predicted)}`))) },
      { title: () => text().became, cell: (one) => h("div", {}, stateBadge(one.state), h("p", { class: "small soft" }, () => stateMeaning(one.state))) },
      { title: () => text().when, cell: (one) => h("time", { datetime: one.created }, () => formatAge(one.created)) },
      { title: () => common().actions, cell: (one) => h("button", { type: "button", "aria-label": () => text().takeBackOf(productName(one.product)), onclick: () => takeBack(one) }, () => text().takeBack) },
    ],
    load: (cursor) => listCorrections({ user: own, cursor, limit: 20 }, signal),
    empty: () => emptyState(() => text().noCorrections, () => text().noCorrectionsHint),
    signal,
  });

  /** @param {Correction} correction */
  async function takeBack(correction) {
    try {
      await undo(correction.feedback_id);
      notify(() => text().undone);
      await table.reload();
    } catch (error) {
      notifyFailure(error);
    }
  }
  return table;
}

/** @param {AbortSignal} signal */
function predictionTable(signal) {
  return pagedTable({
    caption: () => text().predictions,
    columns: [
      { title: () => common().product, heading: true, cell: (/** @type {ListedPrediction} */ one) => productCell(one.product) },
      { title: () => common().predicted, cell: (one) => () => labelOfCode(one.category.code, one.category.label) },
      { title: () => common().confidence, numeric: true, cell: (one) => () => formatPercent(one.confidence, 1) },
      { title: () => text().decision, cell: (one) => (one.decision ? h("span", { class: `badge ${one.decision === "accept" ? "good" : "warn"}` }, () => common().decisions[one.decision ?? "review"]) : "–") },
      { title: () => text().given, cell: (one) => (one.feedback[0] ? [() => labelOfCode(one.feedback[0].code, one.feedback[0].label), " ", stateBadge(one.feedback[0].state)] : "–") },
      { title: () => common().release, cell: (one) => h("code", { class: "small" }, one.release) },
      { title: () => text().when, cell: (one) => h("time", { datetime: one.created }, () => formatAge(one.created)) },
    ],
    load: (cursor) => request("predictions", { query: { cursor, limit: 20 }, signal }),
    empty: () => emptyState(() => text().noPredictions, () => text().noPredictionsHint),
    signal,
  });
}
