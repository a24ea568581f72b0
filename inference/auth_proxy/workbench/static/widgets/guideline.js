// The guideline of a category: when a product belongs there.

import { findCategory, guidelineOf, labelOf, pathOf } from "../api/categories.js";
import { fill, h } from "../core/dom.js";
import { common } from "../core/messages.js";

export function guidelinePanel() {
  const place = h("div", { class: "guideline small" });
  return {
    element: place,
    /** @param {Code | null | undefined} code */
    show(code) {
      const category = findCategory(code);
      fill(place, category
        ? [h("p", { class: "strong" }, () => [pathOf(category), labelOf(category)].filter(Boolean).join(" › ")),
          h("p", {}, () => guidelineOf(category) || common().noGuideline)]
        : "");
    },
  };
}
