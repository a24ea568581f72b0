// The first predictions of a batch, filtered by any word.

import { send } from "../api/client.js";
import { fill, h } from "../core/dom.js";
import { dataTable } from "../widgets/data-table.js";
import { labelled } from "../widgets/labelled.js";
import { loadInto } from "../widgets/states.js";
import { firstRows } from "./csv.js";
import { text } from "./messages.js";

const SHOWN = 500;

/** @param {Batch} batch @param {AbortSignal} signal */
export function resultPreview(batch, signal) {
  const place = h("div", {});
  loadInto(place, async () => firstRows(await send(`batches/${batch.batch_id}/result`, { headers: { Accept: "text/csv" }, signal }), SHOWN), ([header = [], ...rows]) => {
    const filter = h("input", { type: "search", oninput: () => { show(); } });
    const table = h("div", {});
    const columns = header.map((title, index) => ({ title: () => title, cell: (/** @type {string[]} */ row) => row[index] ?? "", heading: index === 0 }));
    const show = () => {
      const words = filter.value.trim().toLowerCase();
      const found = words ? rows.filter((row) => row.join(" ").toLowerCase().includes(words)) : rows;
      fill(table, found.length > 0 ? dataTable(() => text().previewOf(batch.file_name), columns, found).element : h("p", { class: "soft" }, () => text().noRows));
    };
    show();
    return h("div", { class: "stack" }, h("p", { class: "small soft" }, () => text().first(rows.length)), h("div", { class: "filters" }, labelled(() => text().filter, filter)), table);
  }, signal);
  return place;
}
