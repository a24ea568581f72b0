// One product of the queue: photo first, then its text and why it is here.

import { labelOfCode } from "../api/categories.js";
import { h } from "../core/dom.js";
import { formatPercent } from "../core/language.js";
import { productPhoto } from "../widgets/product-photo.js";
import { productName, productText } from "../widgets/product-text.js";
import { reasonText, text } from "./messages.js";

/** @param {QueueItem} item */
export function itemView({ product, reason, modalities }) {
  const answers = /** @type {const} */ ([[() => text().text, modalities?.text], [() => text().photo, modalities?.image]]);
  return h("div", { class: "stack" },
    productPhoto(product.image_sha256, () => productName(product)),
    productText(product),
    h("p", { class: "small soft" }, () => `${text().why}: ${reasonText(reason)}`),
    h("dl", { class: "facts small" }, answers.map(([name, answer]) => (answer
      ? [h("dt", {}, name), h("dd", {}, () => `${labelOfCode(answer.code, answer.label)} (${formatPercent(answer.probability)})`)] : null))));
}
