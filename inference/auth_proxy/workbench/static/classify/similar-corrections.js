// Past corrections of products with a similar title.

import { labelOfCode } from "../api/categories.js";
import { listCorrections } from "../api/feedback.js";
import { fill, h } from "../core/dom.js";
import { formatAge } from "../core/language.js";
import { shortState } from "../core/messages.js";
import { productName } from "../widgets/product-text.js";
import { text } from "./messages.js";

/** @param {string} designation @param {AbortSignal} signal */
export function similarCorrections(designation, signal) {
  const place = h("div", { class: "stack tight" });
  const words = designation.match(/\p{L}{4,}/gu)?.sort((a, b) => b.length - a.length).slice(0, 2).join(" ") ?? "";
  if (words) {
    listCorrections({ q: words, limit: 5 }, signal).then(({ items }) => fill(place,
      h("h3", {}, () => text().similar),
      items.length === 0 ? h("p", { class: "small soft" }, () => text().noSimilar)
        : h("ul", { class: "stack tight" }, items.map((one) => h("li", { class: "small" },
          h("span", { class: "strong" }, () => labelOfCode(one.code, one.label)), " · ", () => productName(one.product),
          h("span", { class: "soft" }, () => ` · ${shortState(one.state)} · ${formatAge(one.created)}`)))))).catch(() => {});
  }
  return place;
}
