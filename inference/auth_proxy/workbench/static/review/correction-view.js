// One correction: the product, what was predicted, what is proposed, by whom.

import { findCategory, labelOfCode, pathOf } from "../api/categories.js";
import { h } from "../core/dom.js";
import { formatAge, formatDate, formatPercent } from "../core/language.js";
import { common, roleName, stateMeaning } from "../core/messages.js";
import { productPhoto } from "../widgets/product-photo.js";
import { productName, productText } from "../widgets/product-text.js";
import { guidelinePanel } from "../widgets/guideline.js";
import { stateBadge } from "../widgets/state-badge.js";
import { text } from "./messages.js";

/** Return a category by its label, with the path above it. @param {Code | null} code @param {string} [label] */
function categoryName(code, label = "") {
  const path = () => { const found = findCategory(code); return found ? pathOf(found) : ""; };
  return [h("span", { class: "strong" }, () => labelOfCode(code, label)), " ", h("span", { class: "small soft" }, path), " ", h("code", { class: "small soft" }, code)];
}

/** @param {NonNullable<Correction["agreement"]>} agreement */
const agreementOf = ({ users, others }) => () => [text().agree(users), ...others.map((one) => text().others(one.users, labelOfCode(one.code, one.label)))].join(", ");

/** @param {Correction} correction */
export function correctionView(correction) {
  const { product, predicted, code, label, confidence } = correction;
  const name = () => productName(product);
  const guideline = guidelinePanel();
  guideline.show(code);
  return h("article", { class: "stack", "aria-label": name },
    correction.superseded_by ? h("p", { class: "callout warn" }, () => text().replacedByUser) : null,
    correction.decided === false ? h("p", { class: "callout warn" }, () => text().changed) : null,
    h("div", { class: "product" },
      productPhoto(product?.image_sha256, name),
      h("div", { class: "stack" },
        productText(product),
        correction.is_cut ? h("p", { class: "small soft" }, () => text().cut) : null,
        h("dl", { class: "facts" },
          h("dt", {}, () => common().proposed), h("dd", {}, categoryName(code, label), (correction.kind ?? (String(predicted) === String(code) ? "confirmation" : "")) === "confirmation"
            ? h("span", { class: "badge accent" }, () => text().isConfirmation) : null),
          h("dt", {}, () => common().predicted), h("dd", {}, predicted === null ? h("span", { class: "soft" }, () => text().unknown) : categoryName(predicted)),
          h("dt", {}, () => common().confidence), h("dd", {}, () => formatPercent(confidence, 1)),
          h("dt", {}, () => text().by), h("dd", {}, correction.user, h("span", { class: "soft" }, () => ` (${roleName(correction.role)}), `),
            h("time", { datetime: correction.created, title: () => formatDate(correction.created) }, () => formatAge(correction.created))),
          h("dt", {}, () => common().state), h("dd", {}, stateBadge(correction.state), " ", h("span", { class: "small soft" }, () => stateMeaning(correction.state))),
          correction.agreement ? [h("dt", {}, () => text().agreement), h("dd", {}, agreementOf(correction.agreement))] : null,
          correction.reviewer ? [h("dt", {}, () => text().reviewedBy), h("dd", {}, correction.reviewer, () => `, ${formatAge(correction.reviewed)}`)] : null,
          correction.comment ? [h("dt", {}, () => common().comment), h("dd", {}, correction.comment)] : null,
          correction.release ? [h("dt", {}, () => common().release), h("dd", {}, h("code", { class: "small" }, correction.release))] : null),
        guideline.element)));
}
