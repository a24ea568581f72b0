// One product of the queue: photo first, then its text and why it is here.

import { labelOfCode } from "../api/categories.js";
import { h } from "../core/dom.js";
import { formatPercent } from "../core/language.js";
import { common } from "../core/messages.js";
import { productPhoto } from "../widgets/product-photo.js";
import { productName, productText } from "../widgets/product-text.js";
import { reasonText, text } from "./messages.js";

/** Return the category that Enter accepts: the suggested one, the predicted one, or the one it has. @param {QueueItem} item */
export const proposalOf = ({ suggested, prediction, label }) => suggested ?? prediction?.category ?? label;

/** Return the most probable categories, the proposal first. @param {QueueItem} item @returns {Candidate[]} */
export function candidatesOf(item) {
  const { prediction } = item;
  const top = prediction?.top ?? [];
  const proposal = proposalOf(item);
  if (!proposal || top.some(({ code }) => String(code) === String(proposal.code))) return top;
  return [{ code: proposal.code, label: proposal.label, probability: prediction?.confidence ?? null }, ...top].slice(0, 5);
}

/** @param {QueueItem} item */
export function itemView({ product, reason, detail, prediction, label }) {
  return h("div", { class: "stack" },
    productPhoto(product.image_sha256, () => productName(product)),
    productText(product),
    h("p", { class: "small soft" }, () => `${text().why}: ${reasonText(reason)}`, detail ? ` (${detail})` : ""),
    h("dl", { class: "facts small" },
      prediction?.category ? [h("dt", {}, () => common().predicted), h("dd", {}, () => `${labelOfCode(prediction.category?.code, prediction.category?.label)} (${formatPercent(prediction.confidence, 1)})`)] : null,
      label ? [h("dt", {}, () => text().label), h("dd", {}, () => labelOfCode(label.code, label.label))] : null,
      prediction?.release ? [h("dt", {}, () => common().release), h("dd", {}, h("code", {}, prediction.release))] : null));
}
