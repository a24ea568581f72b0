// Training products whose label is probably wrong.

import { labelOfCode } from "../api/categories.js";
import { request } from "../api/client.js";
import { h } from "../core/dom.js";
import { formatPercent } from "../core/language.js";
import { common } from "../core/messages.js";
import { pagedTable } from "../widgets/data-table.js";
import { productPhoto } from "../widgets/product-photo.js";
import { productName } from "../widgets/product-text.js";
import { emptyState } from "../widgets/states.js";
import { text } from "./messages.js";

/** @param {string} release @param {string} code Only labels of this category; empty for all. @param {AbortSignal} signal */
export function suspectList(release, code, signal) {
  /** @param {Suspect} one */
  const name = (one) => productName({ designation: one.designation, description: one.description, image_sha256: null });
  const table = pagedTable({
    caption: () => text().suspects,
    columns: [
      { title: () => common().product, heading: true, cell: (/** @type {Suspect} */ one) => h("div", { class: "row" },
        productPhoto(one.image_sha256, () => name(one), { thumbnail: true }), h("span", { class: "grow clamp", lang: "fr" }, () => name(one))) },
      { title: () => text().labelled, cell: (one) => () => labelOfCode(one.code, one.label) },
      { title: () => text().probability, numeric: true, cell: (one) => () => formatPercent(one.probability, 1) },
      { title: () => text().suggested, cell: (one) => () => `${labelOfCode(one.suggested_code, one.suggested_label)} (${formatPercent(one.suggested_probability)})` },
    ],
    load: (cursor) => request("suspects", { query: { release, code, cursor, limit: 25 }, signal }),
    empty: () => emptyState(() => text().noSuspects),
    signal,
  });
  table.reload();
  return table.element;
}
