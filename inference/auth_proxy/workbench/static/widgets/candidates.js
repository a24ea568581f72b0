// The most probable categories of a product as buttons, each with its share; keys 1 to 5 press them.

import { findCategory, labelOfCode, pathOf } from "../api/categories.js";
import { fill, h } from "../core/dom.js";
import { formatPercent, translations } from "../core/language.js";

const text = translations({
  en: { group: "Most probable categories" },
  fr: { group: "Catégories les plus probables" },
});

/** @param {(candidate: Candidate) => void} choose */
export function candidateList(choose) {
  const place = h("div", { class: "bars", role: "group", "aria-label": () => text().group });
  /** @type {Candidate[]} */
  let shown = [];

  return {
    element: place,
    /** @param {Candidate[]} candidates */
    show(candidates) {
      shown = candidates;
      fill(place, candidates.map((candidate, index) => {
        const category = findCategory(candidate.code);
        const button = h("button", { type: "button", class: "bar", "aria-pressed": "false", "data-code": candidate.code, onclick: () => choose(candidate) },
          h("kbd", { "aria-hidden": "true" }, index + 1),
          h("span", { title: () => (category ? pathOf(category) : "") }, () => labelOfCode(candidate.code, candidate.label)),
          h("span", { class: "numeric" }, () => (candidate.probability === null ? "" : formatPercent(candidate.probability, 1))));
        button.style.setProperty("--share", String(candidate.probability ?? 0));
        return button;
      }));
    },
    /** Mark the chosen category. @param {Code | null} code */
    mark(code) {
      for (const button of place.querySelectorAll("button")) {
        button.setAttribute("aria-pressed", String(button.dataset.code === String(code)));
      }
    },
    /** Choose by its place from 1; do nothing if there is none. @param {number} place_ */
    choose(place_) {
      const candidate = shown[place_ - 1];
      if (candidate) choose(candidate);
    },
  };
}
