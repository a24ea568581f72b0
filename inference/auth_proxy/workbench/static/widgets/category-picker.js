// <category-picker>: choose one category of 27 or of 10,000. Without a query it shows the most probable categories, those
// chosen last and the tree; with one, what the gateway finds by code, label and synonym. It is a combobox (WAI-ARIA):
// the focus stays in the field, arrows move, Enter chooses. It dispatches `pick` and, while moving, `consider`.

import { labelOf, loadTaxonomy, pathOf, recentCategories, rememberCategory, searchCategories } from "../api/categories.js";
import { explain } from "../api/problems.js";
import { fill, h, uniqueId } from "../core/dom.js";
import { formatNumber, translations } from "../core/language.js";

const WAIT_MS = 120;
const SHOWN = 60;

const text = translations({
  en: {
    label: "Search for a category by name, code or synonym", probable: "Most probable", recent: "Chosen last", all: "All categories", found: "Found",
    nothing: "No category has these words.",
    /** @param {number} count */
    more: (count) => `${formatNumber(count)} more: type to narrow them down`,
  },
  fr: {
    label: "Chercher une catégorie par nom, code ou synonyme", probable: "Les plus probables", recent: "Dernières choisies", all: "Toutes les catégories", found: "Trouvées",
    nothing: "Aucune catégorie n'a ces mots.",
    more: (count) => `${formatNumber(count)} de plus : tapez pour préciser`,
  },
});

/** @typedef {{ heading: () => string, categories: Category[] }} Group */

export class CategoryPicker extends HTMLElement {
  #list = h("div", { class: "picker-list", role: "listbox", id: uniqueId("categories"), "aria-label": () => text().label });
  #input = h("input", {
    type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", "aria-expanded": "true", "aria-autocomplete": "list",
    "aria-controls": this.#list.id, "aria-label": () => text().label, placeholder: () => text().label,
    oninput: () => this.#search(), onkeydown: (event) => this.#onKey(/** @type {KeyboardEvent} */ (event)),
  });
  #status = h("p", { class: "small soft", role: "status" });
  /** @type {Category[]} */
  #suggested = [];
  /** @type {Category[]} */
  #options = [];
  #active = -1;
  #searching = new AbortController();

  connectedCallback() {
    if (!this.#input.isConnected) this.append(this.#input, this.#list, this.#status);
    this.#browse();
  }

  disconnectedCallback() {
    this.#searching.abort();
  }

  /** Empty the field and show the categories again. @param {Category[]} [suggested] The most probable ones. */
  reset(suggested = this.#suggested) {
    this.#suggested = suggested;
    this.#input.value = "";
    if (this.isConnected) this.#browse();
  }

  focus() {
    this.#input.focus();
  }

  async #browse() {
    this.#searching.abort();
    const { signal } = (this.#searching = new AbortController());
    try {
      const { categories } = await loadTaxonomy();
      if (signal.aborted) return;
      this.#show([
        { heading: () => text().probable, categories: this.#suggested },
        { heading: () => text().recent, categories: recentCategories() },
        { heading: () => text().all, categories: inTreeOrder(categories).filter(({ answerable }) => answerable) },
      ]);
    } catch (error) {
      this.#fail(error, signal);
    }
  }

  async #search() {
    const query = this.#input.value.trim();
    if (!query) return this.#browse();
    this.#searching.abort();
    const { signal } = (this.#searching = new AbortController());
    await new Promise((done) => { setTimeout(done, WAIT_MS); });
    if (signal.aborted) return undefined;
    try {
      const found = (await searchCategories(query, signal)).filter(({ answerable }) => answerable);
      if (signal.aborted) return undefined;
      this.#show([{ heading: () => text().found, categories: found }]);
      if (found.length === 0) fill(this.#status, () => text().nothing);
      else this.#activate(0);
    } catch (error) {
      this.#fail(error, signal);
    }
    return undefined;
  }

  /** @param {unknown} error @param {AbortSignal} signal */
  #fail(error, signal) {
    if (!signal.aborted) fill(this.#status, () => explain(error));
  }

  /** @param {Group[]} groups */
  #show(groups) {
    this.#options = [];
    this.#active = -1;
    let hidden = 0;
    fill(this.#list, groups.filter(({ categories }) => categories.length > 0).map(({ heading, categories }) => {
      const shown = categories.slice(0, SHOWN);
      hidden += categories.length - shown.length;
      const id = uniqueId("group");
      return h("div", { role: "group", "aria-labelledby": id },
        h("span", { class: "label", id }, heading), shown.map((category) => this.#option(category)));
    }));
    fill(this.#status, () => (hidden > 0 ? text().more(hidden) : ""));
  }

  /** @param {Category} category */
  #option(category) {
    const place = this.#options.push(category) - 1;
    return h("div", {
      role: "option", id: `${this.#list.id}-${place}`, "aria-selected": "false",
      onclick: () => this.#pick(category), onpointerenter: () => this.#consider(category),
    }, h("span", {}, () => labelOf(category)), h("span", { class: "path" }, () => pathOf(category)), h("code", { class: "path" }, category.code));
  }

  /** @param {number} place */
  #activate(place) {
    const options = this.#list.querySelectorAll("[role=option]");
    options[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = Math.max(0, Math.min(place, options.length - 1));
    const option = options[this.#active];
    if (!option) return;
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    this.#input.setAttribute("aria-activedescendant", option.id);
    this.#consider(this.#options[this.#active]);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const moves = /** @type {Record<string, number>} */ ({ ArrowDown: this.#active + 1, ArrowUp: this.#active - 1, Home: 0, End: this.#options.length - 1 });
    if (event.key in moves && !(event.key.length > 3 && this.#options.length === 0)) {
      event.preventDefault();
      this.#activate(moves[event.key]);
    } else if (event.key === "Enter" && this.#options[this.#active]) {
      event.preventDefault();
      this.#pick(this.#options[this.#active]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.dispatchEvent(new CustomEvent("dismiss"));
    }
  }

  /** @param {Category} category */
  #consider(category) {
    this.dispatchEvent(new CustomEvent("consider", { detail: category }));
  }

  /** @param {Category} category */
  #pick(category) {
    rememberCategory(category.code);
    this.dispatchEvent(new CustomEvent("pick", { detail: category }));
  }
}
customElements.define("category-picker", CategoryPicker);

/** Return the categories so that each follows its parent. @param {Category[]} categories */
export function inTreeOrder(categories) {
  /** @type {Map<string, Category[]>} */
  const children = Map.groupBy(categories, ({ parent }) => String(parent ?? ""));
  const ordered = /** @type {Category[]} */ ([]);
  const waiting = [...(children.get("") ?? [])].reverse();
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    ordered.push(next);
    waiting.push(...[...(children.get(String(next.code)) ?? [])].reverse());
  }
  return ordered;
}
