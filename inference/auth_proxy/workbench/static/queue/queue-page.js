// What to look at next: one product at a time, decided with one key.

import { findCategory, labelOfCode, loadTaxonomy } from "../api/categories.js";
import { fill, h, updateBindings } from "../core/dom.js";
import { common } from "../core/messages.js";
import { addShortcuts } from "../core/shortcuts.js";
import { candidateList } from "../widgets/candidates.js";
import { CategoryPicker } from "../widgets/category-picker.js";
import { guidelinePanel } from "../widgets/guideline.js";
import { productName } from "../widgets/product-text.js";
import { emptyState, failureState, skeleton } from "../widgets/states.js";
import { candidatesOf, itemView, proposalOf } from "./item-view.js";
import { text } from "./messages.js";
import { queueAnswers } from "./queue-answers.js";
import { queueSource } from "./queue-source.js";

/** @type {import("../shell/pages.js").Mount} */
export async function mount(page, { signal }) {
  /** @type {QueueItem | null} */
  let shown = null;
  /** @type {QueueItem[]} */
  const passed = [];
  let decided = 0;

  const source = queueSource(signal);
  const answers = queueAnswers(showAgain, (change) => { decided += change; showCount(); });
  const guideline = guidelinePanel();
  const candidates = candidateList(({ code }) => answer(code));
  const picker = new CategoryPicker();
  const choosing = h("div", { class: "panel", hidden: true }, picker);
  const product = h("div", {});
  const count = h("p", { class: "soft small", role: "status" });
  const item = h("article", { class: "columns", tabindex: "-1" }, product,
    h("div", { class: "stack" }, candidates.element, guideline.element, choosing, buttons()));
  const content = h("div", {}, skeleton());

  candidates.element.addEventListener("focusin", ({ target }) => { if (target instanceof HTMLElement) guideline.show(target.dataset.code); });
  candidates.element.addEventListener("pointerover", ({ target }) => {
    const button = target instanceof HTMLElement ? target.closest("button") : null;
    if (button) guideline.show(button.dataset.code);
  });
  picker.addEventListener("pick", (event) => answer(/** @type {CustomEvent<Category>} */ (event).detail.code));
  picker.addEventListener("consider", (event) => guideline.show(/** @type {CustomEvent<Category>} */ (event).detail.code));
  picker.addEventListener("dismiss", () => { choosing.hidden = true; item.focus(); });
  page.append(h("div", { class: "page-head" }, h("h1", {}, () => text().title), count,
    h("div", { class: "page-actions" }, h("button", { type: "button", onclick: fullScreen }, () => text().full, h("kbd", {}, "F")))), content);
  addShortcuts([
    { keys: ["Enter"], label: () => text().accept, run: accept },
    { keys: ["1", "2", "3", "4", "5"], label: () => text().pick, run: ({ key }) => candidates.choose(Number(key)) },
    { keys: ["c"], label: () => text().other, run: choose },
    { keys: ["s", "ArrowRight"], label: () => text().skip, run: skip },
    { keys: ["b", "ArrowLeft"], label: () => text().back, run: back },
    { keys: ["u"], label: () => common().undo, run: () => answers.undoLast() },
    { keys: ["z"], label: () => text().zoom, run: () => /** @type {import("../widgets/product-photo.js").ProductPhoto | null} */ (item.querySelector("product-photo"))?.zoom() },
    { keys: ["f"], label: () => text().full, run: fullScreen },
  ], signal);
  await loadTaxonomy().catch(() => null);
  await next();

  async function next() {
    try {
      const found = source.next();
      if (found instanceof Promise) fill(content, skeleton());
      const nextItem = await found;
      if (!signal.aborted) show(nextItem);
    } catch (error) {
      if (!signal.aborted) fill(content, failureState(error, next));
    }
  }

  function showCount() {
    fill(count, () => `${text().decided(decided)} · ${text().waiting(Math.max(0, source.left() - decided))}`);
  }

  /** @param {QueueItem | null} nextItem */
  function show(nextItem) {
    shown = nextItem;
    showCount();
    choosing.hidden = true;
    if (!nextItem) {
      fill(content, emptyState(() => text().empty, () => text().emptyHint, h("button", { type: "button", onclick: restart }, () => text().again)));
      return;
    }
    fill(product, itemView(nextItem));
    item.setAttribute("aria-label", productName(nextItem.product));
    item.dataset.id = nextItem.item_id;
    candidates.show(candidatesOf(nextItem));
    guideline.show(proposalOf(nextItem)?.code);
    updateBindings(item);
    if (!item.isConnected) fill(content, item);
    item.focus({ preventScroll: true });
  }

  function acceptLabel() {
    const proposal = shown && proposalOf(shown);
    return proposal ? `${text().accept}: ${labelOfCode(proposal.code, proposal.label)}` : text().accept;
  }

  function accept() {
    const proposal = shown && proposalOf(shown);
    if (proposal) answer(proposal.code);
    else choose();
  }

  /** @param {Code} code */
  function answer(code) {
    if (!shown) return;
    answers.give(shown, code);
    passed.push(shown);
    next();
  }

  function skip() {
    if (!shown) return;
    answers.skip(shown);
    passed.push(shown);
    next();
  }

  function back() {
    const before = passed.pop();
    if (before) showAgain(before);
  }

  /** @param {QueueItem} before */
  function showAgain(before) {
    if (signal.aborted) return;
    if (shown) source.putBack(shown);
    show(before);
  }

  function restart() {
    source.restart();
    next();
  }

  function choose() {
    if (!shown) return;
    choosing.hidden = false;
    picker.reset(candidatesOf(shown).flatMap(({ code }) => findCategory(code) ?? []));
    picker.focus();
  }

  function fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen?.().catch(() => {});
  }

  function buttons() {
    /** @param {() => string} label @param {string} key @param {() => void} run @param {string} [kind] */
    const button = (label, key, run, kind = "") => h("button", { type: "button", class: kind, onclick: run }, label, h("kbd", {}, key));
    return h("div", { class: "decide no-print" },
      button(() => acceptLabel(), "↵", accept, "primary"),
      button(() => text().other, "C", choose), button(() => text().skip, "S", skip), button(() => text().back, "B", back),
      button(() => common().undo, "U", () => answers.undoLast()));
  }
}
