// Files that are classified in the background.

import { apiUrl, request } from "../api/client.js";
import { fill, h } from "../core/dom.js";
import { formatAge, formatNumber } from "../core/language.js";
import { common } from "../core/messages.js";
import { dataTable } from "../widgets/data-table.js";
import { emptyState, failureState, skeleton } from "../widgets/states.js";
import { text } from "./messages.js";
import { resultPreview } from "./result-preview.js";
import { uploadForm } from "./upload-form.js";

const REFRESH_MS = 2000;
const TONES = /** @type {Record<string, string>} */ ({ running: "accent", succeeded: "good", failed: "bad" });

/** @type {import("../shell/pages.js").Mount} */
export async function mount(page, { signal }) {
  const list = h("div", {}, skeleton());
  const preview = h("section", { class: "stack", "aria-live": "polite" });
  let shown = "";
  let timer = 0;
  signal.addEventListener("abort", () => clearTimeout(timer));
  page.append(h("h1", {}, () => text().title), uploadForm(refresh, signal), h("h2", {}, () => text().batches), list, preview);
  await refresh();

  async function refresh() {
    clearTimeout(timer);
    try {
      const { items } = await request("batches", { query: { limit: 20 }, signal });
      show(items);
      if (items.some((/** @type {Batch} */ { state }) => state === "waiting" || state === "running")) timer = setTimeout(refresh, REFRESH_MS);
    } catch (error) {
      if (!signal.aborted) fill(list, failureState(error, refresh));
    }
  }

  /** @param {Batch[]} batches */
  function show(batches) {
    const version = JSON.stringify(batches);
    if (version === shown) return;
    shown = version;
    fill(list, batches.length === 0 ? emptyState(() => text().empty, () => text().emptyHint) : [table(batches), ...batches.filter(({ problems }) => problems.length > 0).slice(0, 3).map(problemTable)]);
  }

  /** @param {Batch[]} batches */
  function table(batches) {
    return dataTable(() => text().batches, [
      { title: () => text().fileName, heading: true, cell: (one) => one.file_name || one.batch_id },
      { title: () => common().state, cell: (one) => [h("span", { class: `badge ${TONES[one.state] ?? ""}` }, () => text().states[one.state] ?? one.state), one.reason ? h("p", { class: "small" }, one.reason) : null] },
      { title: () => text().progress, cell: (one) => [h("progress", { max: Math.max(one.rows, 1), value: one.classified + one.rejected, "aria-label": () => `${text().progress}: ${one.file_name}` }), h("span", { class: "small soft" }, () => text().of(one.classified, one.rows))] },
      { title: () => text().accepted, numeric: true, cell: (one) => () => (one.accepted === null ? "–" : formatNumber(one.accepted)) },
      { title: () => text().rejected, numeric: true, cell: (one) => () => formatNumber(one.rejected) },
      { title: () => common().created, cell: (one) => h("time", { datetime: one.created }, () => formatAge(one.created)) },
      { title: () => text().result, cell: (one) => (one.result_url === null ? "–" : h("div", { class: "row" },
        h("button", { type: "button", "aria-label": () => text().previewOf(one.file_name), onclick: () => { fill(preview, resultPreview(one, signal)); } }, () => text().preview),
        h("a", { class: "button", href: String(apiUrl(`batches/${one.batch_id}/result`)), download: "predictions.csv", "aria-label": () => text().downloadOf(one.file_name) }, () => common().download))) },
    ], batches).element;
  }
}

/** @param {Batch} batch */
function problemTable(batch) {
  return h("details", {}, h("summary", {}, () => text().problemsOf(batch.file_name)), dataTable(() => text().problemsOf(batch.file_name), [
    { title: () => text().line, numeric: true, heading: true, cell: (/** @type {Batch["problems"][number]} */ one) => () => formatNumber(one.line) },
    { title: () => text().field, cell: (one) => one.field },
    { title: () => text().value, cell: (one) => h("code", {}, one.value) },
    { title: () => common().reason, cell: (one) => one.reason },
  ], batch.problems).element);
}
