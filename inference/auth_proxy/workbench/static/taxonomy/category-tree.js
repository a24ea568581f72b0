// The categories as a tree with their numbers of products; the branches of a large one are drawn when they are opened.

import { labelOf } from "../api/categories.js";
import { h } from "../core/dom.js";
import { text } from "./messages.js";

const OPEN_BELOW = 60;

/** @param {Category[]} categories @param {(category: Category) => void} choose */
export function categoryTree(categories, choose) {
  /** @type {Map<string, Category[]>} */
  const children = Map.groupBy(categories, ({ parent }) => String(parent ?? ""));
  const isSmall = categories.length <= OPEN_BELOW;

  /** @param {Category} category */
  const name = (category) => [
    h("button", { type: "button", class: "plain", onclick: () => choose(category) }, () => labelOf(category)),
    h("code", { class: "small soft" }, category.code),
    category.products === null ? null : h("span", { class: "small soft" }, () => ` · ${text().products(category.products ?? 0)}`),
    category.answerable ? null : h("span", { class: "badge" }, () => text().notAnswerable),
  ];

  /** @param {Category} category */
  function branch(category) {
    const below = children.get(String(category.code)) ?? [];
    if (below.length === 0) return h("li", { class: "row" }, name(category));
    const list = h("ul", {});
    const draw = () => { if (!list.hasChildNodes()) list.append(...below.map(branch)); };
    const details = h("details", { open: isSmall, ontoggle: draw }, h("summary", {}, labelOf(category), " ", h("span", { class: "small soft" }, `(${below.length})`)),
      h("div", { class: "row" }, name(category)), list);
    if (isSmall) draw();
    return h("li", {}, details);
  }

  return h("ul", { class: "tree", "aria-label": () => text().tree }, (children.get("") ?? []).map(branch));
}

/** Return categories as a flat list. @param {Category[]} categories @param {(category: Category) => void} choose */
export const categoryMatches = (categories, choose) => h("ul", { class: "stack tight", "aria-label": () => text().tree },
  categories.slice(0, 200).map((category) => h("li", { class: "row" },
    h("button", { type: "button", class: "plain", onclick: () => choose(category) }, () => labelOf(category)),
    h("span", { class: "small soft" }, category.path.slice(0, -1).join(" › ")), h("code", { class: "small soft" }, category.code))));
