// Title and description of a product; HTML in a description is shown as text, never as markup.

import { h } from "../core/dom.js";
import { common } from "../core/messages.js";

/** Return the name of a product for people and screen readers. @param {Product | null | undefined} product */
export function productName(product) {
  return product?.designation?.trim() || plainText(product?.description ?? "").slice(0, 80) || common().untitled;
}

/** Return the text of a description without its tags. @param {string} description */
export function plainText(description) {
  if (!/[<&]/.test(description)) return description.trim();
  const spaced = description.replace(/<(br|\/p|\/li|\/div|\/h[1-6]|\/tr)\b/gi, "\n<$1");
  return (new DOMParser().parseFromString(spaced, "text/html").body.textContent ?? "").replace(/\n\s*\n\s*/g, "\n").trim();
}

/** @param {Product | null | undefined} product */
export function productText(product) {
  const description = plainText(product?.description ?? "");
  return h("div", { class: "stack tight" },
    h("p", { class: "product-title", lang: "fr" }, () => productName(product)),
    h("p", { class: "product-text soft", lang: "fr", tabindex: description.length > 400 ? "0" : null },
      () => description || (product?.designation ? "" : common().noText)));
}
