// Training runs, live.

import { request } from "../api/client.js";
import { fill, h } from "../core/dom.js";
import { formatAge } from "../core/language.js";
import { rememberFilters } from "../core/router.js";
import { notify, notifyFailure } from "../shell/notices.js";
import { confirmed } from "../widgets/confirm-dialog.js";
import { emptyState, failureState, skeleton } from "../widgets/states.js";
import { causeName, text } from "./messages.js";
import { runEvents } from "./run-events.js";
import { runBadge, runFacts, verdictView } from "./run-view.js";

const REFRESH_MS = 5000;

/** @type {import("../shell/pages.js").Mount} */
export async function mount(page, { query, signal }) {
  let chosen = query.get("run") ?? "";
  let shown = "";
  let following = new AbortController();
  const progress = h("div", { class: "stack tight" });
  const list = h("ul", { class: "list", "aria-label": () => text().runs });
  const detail = h("section", { class: "panel stack", "aria-live": "polite" });
  const content = h("div", {}, skeleton());
  const layout = h("div", { class: "split" }, h("div", { class: "stack list-column" }, list), detail);

  signal.addEventListener("abort", () => following.abort());
  page.append(h("div", { class: "page-head" }, h("h1", {}, () => text().title),
    h("div", { class: "page-actions" }, h("button", { type: "button", class: "primary", id: "start-run", onclick: start }, () => text().start))), progress, content);
  await refresh();
  const timer = setInterval(() => { if (document.visibilityState === "visible") refresh(); }, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(timer));

  async function start() {
    if (!await confirmed({ title: () => text().startQuestion, detail: () => text().startDetail, confirm: () => text().start })) return;
    try {
      const { run_id: id } = await request("retrain", { method: "POST" });
      notify(() => text().started, { kind: "good", detail: id });
      chosen = id;
      await refresh();
    } catch (error) {
      notifyFailure(error);
    }
  }

  async function refresh() {
    try {
      const found = await request("retrain", { query: { limit: 50 }, signal });
      show(found.items, found.progress);
    } catch (error) {
      if (!signal.aborted && !content.contains(layout)) fill(content, failureState(error, refresh));
    }
  }

  /** @param {Run[]} runs @param {{ corrections: number, needed: number } | null} state */
  function show(runs, state) {
    fill(progress, state ? [h("progress", { max: state.needed, value: Math.min(state.corrections, state.needed), "aria-label": () => text().progress(state.corrections, state.needed) }),
      h("p", { class: "small soft" }, () => text().progress(state.corrections, state.needed))] : null);
    if (runs.length === 0) {
      fill(content, emptyState(() => text().empty, () => text().emptyHint));
      return;
    }
    if (!content.contains(layout)) fill(content, layout);
    const run = runs.find(({ run_id: id }) => id === chosen) ?? runs[0];
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.run : undefined;
    fill(list, runs.map((one) => h("li", { class: "list-item", "aria-current": one === run ? "true" : null },
      runBadge(one.state), "",
      h("button", { type: "button", class: "plain", "data-run": one.run_id, onclick: () => choose(one.run_id, runs, state) },
        h("span", { class: "stack tight" }, h("code", {}, one.run_id), h("span", { class: "small soft" }, () => `${causeName(one.cause)} · ${formatAge(one.created)}`))))));
    if (focused) /** @type {HTMLElement | null} */ (list.querySelector(`[data-run="${focused}"]`))?.focus();
    showRun(run);
  }

  /** @param {string} id @param {Run[]} runs @param {{ corrections: number, needed: number } | null} state */
  function choose(id, runs, state) {
    chosen = id;
    rememberFilters({ run: id });
    show(runs, state);
  }

  /** @param {Run} run */
  function showRun(run) {
    const version = JSON.stringify(run);
    if (version === shown) return;
    shown = version;
    following.abort();
    following = new AbortController();
    const isActive = run.state === "waiting" || run.state === "running";
    fill(detail, h("h2", {}, h("code", {}, run.run_id)), runFacts(run), run.verdict ? verdictView(run.verdict) : null,
      isActive ? runEvents(run.run_id, refresh, following.signal) : null);
  }
}
