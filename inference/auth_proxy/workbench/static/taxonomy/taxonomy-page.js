// The taxonomy in service and its changes.

import { labelOf, loadTaxonomy, searchCategories } from "../api/categories.js";
import { request } from "../api/client.js";
import { mayAct } from "../api/session.js";
import { fill, h } from "../core/dom.js";
import { notifyFailure } from "../shell/notices.js";
import { guidelinePanel } from "../widgets/guideline.js";
import { labelled } from "../widgets/labelled.js";
import { emptyState, loadInto } from "../widgets/states.js";
import { changeForm } from "./change-form.js";
import { changeView } from "./change-view.js";
import { categoryMatches, categoryTree } from "./category-tree.js";
import { text } from "./messages.js";

const WAIT_MS = 150;

/** @type {import("../shell/pages.js").Mount} */
export function mount(page, { signal }) {
  const about = h("p", { class: "soft small" });
  const tree = h("div", { class: "stack" });
  const changes = h("div", { class: "stack" });
  const guideline = guidelinePanel();
  const filter = h("input", { type: "search", oninput: search });
  let searching = new AbortController();

  page.append(
    h("div", { class: "page-head" }, h("h1", {}, () => text().title), about),
    h("div", { class: "columns" },
      h("section", { class: "stack" }, labelled(() => text().filter, filter), guideline.element, tree),
      h("section", { class: "stack" }, mayAct("admin") ? changeForm(load) : null, h("h2", {}, () => text().changes), changes)));
  fill(guideline.element, () => text().choose);
  load();

  function load() {
    loadInto(tree, loadTaxonomy, ({ version, categories }) => {
      fill(about, () => `${text().version(version)} · ${text().count(categories.length)}`);
      return categoryTree(categories, choose);
    }, signal);
    loadInto(changes, () => request("taxonomy/changes", { query: { limit: 20 }, signal }),
      ({ items }) => (items.length === 0 ? emptyState(() => text().noChanges, () => text().noChangesHint) : items.map(changeView)), signal);
  }

  /** @param {Category} category */
  function choose(category) {
    guideline.show(category.code);
    guideline.element.setAttribute("aria-label", labelOf(category));
    guideline.element.scrollIntoView({ block: "nearest" });
  }

  async function search() {
    searching.abort();
    searching = new AbortController();
    const { signal: current } = searching;
    await new Promise((done) => { setTimeout(done, WAIT_MS); });
    if (current.aborted) return;
    const query = filter.value.trim();
    try {
      const found = query ? categoryMatches(await searchCategories(query, current), choose) : categoryTree((await loadTaxonomy()).categories, choose);
      if (!current.aborted) fill(tree, query && !found.hasChildNodes() ? h("p", { class: "soft" }, () => text().nothing) : found);
    } catch (error) {
      notifyFailure(error);
    }
  }
}
