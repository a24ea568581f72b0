// The list of corrections beside the one that is shown, with boxes to select several.

import { labelOfCode } from "../api/categories.js";
import { fill, h } from "../core/dom.js";
import { formatPercent } from "../core/language.js";
import { productPhoto } from "../widgets/product-photo.js";
import { productName } from "../widgets/product-text.js";
import { text } from "./messages.js";

/**
 * @param {(correction: Correction) => void} open
 * @param {() => void} selectionChanged
 */
export function correctionList(open, selectionChanged) {
  const place = h("ul", { class: "list", "aria-label": () => text().list });
  /** @type {Set<string>} */
  const selected = new Set();

  /** @param {Correction} correction */
  function item(correction) {
    const name = () => productName(correction.product);
    const box = h("input", {
      type: "checkbox", "aria-label": () => text().selectOf(name()), checked: selected.has(correction.feedback_id),
      onchange: () => { toggle(correction.feedback_id, box.checked); },
    });
    return h("li", { class: "list-item", "data-id": correction.feedback_id },
      box, productPhoto(correction.product?.image_sha256, name, { thumbnail: true }),
      h("button", { type: "button", class: "plain", onclick: () => open(correction) },
        h("span", { class: "stack tight" }, h("span", { class: "clamp", lang: "fr" }, name),
          h("span", { class: "small soft" }, () => `${labelOfCode(correction.code, correction.label)} · ${correction.user}`))),
      h("span", { class: "small numeric soft" }, () => formatPercent(correction.confidence)));
  }

  /** @param {string} id @param {boolean} on */
  function toggle(id, on) {
    if (on) selected.add(id);
    else selected.delete(id);
    selectionChanged();
  }

  /** @param {string} id */
  const find = (id) => place.querySelector(`[data-id="${id}"]`);

  return {
    element: place,
    selected,
    /** @param {Correction[]} corrections */
    show(corrections) {
      selected.clear();
      fill(place, corrections.map(item));
      selectionChanged();
    },
    /** @param {Correction[]} corrections */
    append(corrections) {
      place.append(...corrections.map(item));
    },
    /** @param {Correction} correction @param {number} position */
    insert(correction, position) {
      place.insertBefore(item(correction), place.children[position] ?? null);
    },
    /** @param {string} id */
    remove(id) {
      find(id)?.remove();
      toggle(id, false);
    },
    /** Mark the one that is shown. @param {string} id */
    mark(id) {
      place.querySelector("[aria-current]")?.removeAttribute("aria-current");
      const element = find(id);
      element?.setAttribute("aria-current", "true");
      element?.scrollIntoView({ block: "nearest" });
    },
    /** @param {string} id */
    toggleSelected(id) {
      const box = /** @type {HTMLInputElement | null | undefined} */ (find(id)?.querySelector("input"));
      if (!box) return;
      box.checked = !box.checked;
      toggle(id, box.checked);
    },
  };
}
