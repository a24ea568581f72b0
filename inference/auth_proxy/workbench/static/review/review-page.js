// Review the corrections of others: a list, the product beside it, a decision with one key.

import { findCategory, loadTaxonomy } from "../api/categories.js";
import { listCorrections } from "../api/feedback.js";
import { prefetchPhoto } from "../api/photos.js";
import { fill, h } from "../core/dom.js";
import { formatNumber } from "../core/language.js";
import { common } from "../core/messages.js";
import { addShortcuts } from "../core/shortcuts.js";
import { notifyFailure } from "../shell/notices.js";
import { candidateList } from "../widgets/candidates.js";
import { CategoryPicker } from "../widgets/category-picker.js";
import { emptyState, failureState, skeleton } from "../widgets/states.js";
import { correctionList } from "./correction-list.js";
import { correctionView } from "./correction-view.js";
import { text } from "./messages.js";
import { reviewDecisions } from "./review-decisions.js";
import { reviewFilters } from "./review-filters.js";

const AHEAD = 3;

/** @type {import("../shell/pages.js").Mount} */
export async function mount(page, { query, signal }) {
  /** @type {Correction[]} */
  let items = [];
  /** @type {Correction | null} */
  let shown = null;
  /** @type {string | null} */
  let cursor = null;
  /** Corrections on all pages; null if the filters leave it unknown. @type {number | null} */
  let total = 0;
  let loading = new AbortController();

  const filters = reviewFilters(query, load);
  const count = h("p", { class: "soft small", role: "status" });
  const content = h("div", {});
  const detail = h("section", { tabindex: "-1" });
  const picker = new CategoryPicker();
  const choosing = h("div", { class: "panel stack", hidden: true }, h("h3", {}, () => text().choosing), picker);
  const list = correctionList(show, showBulk);
  const more = h("button", { type: "button", hidden: true, onclick: loadMore }, () => common().more);
  const candidates = candidateList(({ code }) => decide((one) => (String(code) === String(one.code) ? decisions.approve(one) : decisions.correct(one, code))));
  const bulk = h("div", { class: "row", hidden: true });
  const decisions = reviewDecisions({ take, putBack });
  const layout = h("div", { class: "split" },
    h("div", { class: "stack list-column no-print" }, bulk, list.element, more), h("div", { class: "stack" }, detail, choosing, buttons()));

  picker.addEventListener("pick", (event) => decide((one) => decisions.correct(one, /** @type {CustomEvent<Category>} */ (event).detail.code)));
  picker.addEventListener("dismiss", () => { choosing.hidden = true; detail.focus(); });
  page.append(h("div", { class: "page-head" }, h("h1", {}, () => text().title), count), filters.element, content);
  addShortcuts([
    { keys: ["Enter", "a"], label: () => text().approve, run: () => decide(decisions.approve) },
    { keys: ["r"], label: () => text().reject, run: () => decide(decisions.reject) },
    { keys: ["1", "2", "3", "4", "5"], label: () => text().candidates, run: ({ key }) => candidates.choose(Number(key)) },
    { keys: ["c"], label: () => text().other, run: choose },
    { keys: ["s", "j", "ArrowDown"], label: () => text().skip, run: () => move(1) },
    { keys: ["b", "k", "ArrowUp"], label: () => text().back, run: () => move(-1) },
    { keys: ["u"], label: () => common().undo, run: () => decisions.undoLast() },
    { keys: ["x"], label: () => text().select, run: () => { if (shown) list.toggleSelected(shown.feedback_id); } },
    { keys: ["z"], label: () => text().zoom, run: () => /** @type {import("../widgets/product-photo.js").ProductPhoto | null} */ (detail.querySelector("product-photo"))?.zoom() },
  ], signal);
  signal.addEventListener("abort", () => loading.abort());
  await load();

  async function load() {
    loading.abort();
    loading = new AbortController();
    const current = loading.signal;
    if (items.length === 0) fill(content, skeleton());
    try {
      const [found] = await Promise.all([listCorrections(filters.query(), current), loadTaxonomy().catch(() => null)]);
      if (current.aborted) return;
      ({ items, next_cursor: cursor, total } = found);
      filters.showCounts(found.counts);
      list.show(items);
      more.hidden = cursor === null;
      show(items[0] ?? null);
      fill(content, found.is_complete === false ? h("p", { class: "callout warn" }, () => text().building) : null, items.length > 0 ? layout : empty());
    } catch (error) {
      if (!current.aborted) fill(content, failureState(error, load));
    }
  }

  function empty() {
    return filters.isFiltered
      ? emptyState(() => text().emptyFiltered, () => "", h("button", { type: "button", onclick: () => filters.clear() }, () => text().clear))
      : emptyState(() => text().empty, () => text().emptyHint);
  }

  async function loadMore() {
    if (cursor === null) return;
    more.hidden = true;
    try {
      const found = await listCorrections({ ...filters.query(), cursor }, signal);
      cursor = found.next_cursor;
      items.push(...found.items);
      list.append(found.items);
    } catch (error) {
      notifyFailure(error);
    }
    more.hidden = cursor === null;
  }

  /** @param {Correction | null} correction */
  function show(correction) {
    shown = correction;
    fill(count, () => (total === null ? "" : common().total(total)));
    choosing.hidden = true;
    if (!correction) {
      if (content.contains(layout)) fill(content, empty());
      return;
    }
    if (!content.contains(layout) && items.length > 0) fill(content, layout);
    fill(detail, correctionView(correction), candidates.element);
    candidates.show(candidatesOf(correction));
    candidates.mark(correction.code);
    list.mark(correction.feedback_id);
    if (document.activeElement === document.body || detail.contains(document.activeElement)) detail.focus({ preventScroll: true });
    const place = items.indexOf(correction);
    items.slice(place + 1, place + 1 + AHEAD).forEach(({ product }) => prefetchPhoto(product?.image_sha256));
    if (items.length - place < 10 && cursor !== null && !more.hidden) loadMore();
  }

  /** @param {Correction} correction */
  function take(correction) {
    const position = items.indexOf(correction);
    items.splice(position, 1);
    if (total !== null) total -= 1;
    list.remove(correction.feedback_id);
    if (shown === correction) {
      show(items[position] ?? items[position - 1] ?? null);
      if (shown) detail.focus({ preventScroll: true });
    }
    return position;
  }

  /** @param {Correction} correction @param {number} position */
  function putBack(correction, position) {
    if (signal.aborted) return;
    items.splice(position, 0, correction);
    if (total !== null) total += 1;
    list.insert(correction, position);
    show(correction);
  }

  /** @param {(correction: Correction) => void} how */
  function decide(how) {
    if (shown) how(shown);
  }

  /** @param {number} step */
  function move(step) {
    const next = shown && items[items.indexOf(shown) + step];
    if (next) show(next);
  }

  function choose() {
    if (!shown) return;
    choosing.hidden = false;
    picker.reset(candidatesOf(shown).flatMap(({ code }) => findCategory(code) ?? []));
    picker.focus();
  }

  function showBulk() {
    const ids = [...list.selected];
    bulk.hidden = ids.length === 0;
    /** @param {"approve" | "reject"} action */
    const decideMany = async (action) => {
      try {
        const done = await decisions.decideMany(ids, action);
        items.filter(({ feedback_id: id }) => done.includes(id)).forEach(take);
      } catch (error) {
        notifyFailure(error);
      }
    };
    fill(bulk, h("span", { class: "small strong" }, () => text().selected(ids.length)),
      h("button", { type: "button", onclick: () => decideMany("approve") }, () => text().approveMany(ids.length)),
      h("button", { type: "button", class: "danger", onclick: () => decideMany("reject") }, () => text().rejectMany(ids.length)));
  }

  function buttons() {
    /** @param {() => string} label @param {string} key @param {() => void} run @param {string} [kind] */
    const button = (label, key, run, kind = "") => h("button", { type: "button", class: kind, onclick: run }, label, h("kbd", {}, key));
    return h("div", { class: "decide no-print" },
      button(() => text().approve, "↵", () => decide(decisions.approve), "primary"), button(() => text().reject, "R", () => decide(decisions.reject), "danger"),
      button(() => text().other, "C", choose), button(() => text().skip, "S", () => move(1)), button(() => common().undo, "U", () => decisions.undoLast()),
      h("span", { class: "small soft numeric" }, () => (shown ? `${formatNumber(items.indexOf(shown) + 1)} ${text().of} ${formatNumber(total ?? items.length)}` : "")));
  }
}

/** Return the most probable categories; of a prediction that the index has not read yet, the first. @param {Correction} correction @returns {Candidate[]} */
function candidatesOf({ prediction, predicted, confidence }) {
  if (prediction?.top.length) return prediction.top;
  return predicted === null ? [] : [{ code: predicted, label: String(predicted), probability: confidence ?? 0 }];
}
