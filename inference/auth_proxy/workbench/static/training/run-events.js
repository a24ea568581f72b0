// Live messages of a run: server-sent events, which the browser reconnects by itself.

import { apiUrl } from "../api/client.js";
import { fill, h } from "../core/dom.js";
import { formatNumber } from "../core/language.js";
import { text } from "./messages.js";
import { runBadge } from "./run-view.js";

const KEPT_LINES = 500;

/**
 * @param {string} runId
 * @param {() => void} ended
 * @param {AbortSignal} signal
 */
export function runEvents(runId, ended, signal) {
  /** @type {Map<string, { step: string, state: string, seconds: number | null, reason: string | null }>} */
  const states = new Map();
  const steps = h("ul", { class: "steps" });
  const log = h("div", { class: "log", role: "log", tabindex: "0", "aria-label": () => text().log });
  const note = h("p", { class: "small soft" }, () => text().noEvents);
  const source = new EventSource(apiUrl(`retrain/${runId}/events`));
  const close = () => source.close();
  signal.addEventListener("abort", close);

  /** @param {string} type @param {(data: any) => void} handle */
  function on(type, handle) {
    source.addEventListener(type, (event) => {
      note.hidden = true;
      handle(JSON.parse(/** @type {MessageEvent} */ (event).data));
    });
  }

  on("step", (event) => {
    states.set(event.step, event);
    fill(steps, [...states.values()].map(({ step, state, seconds, reason }) => h("li", { class: "row" }, runBadge(state), h("code", {}, step),
      seconds === null ? null : h("span", { class: "small soft" }, () => `${formatNumber(Math.round(seconds))} s`),
      reason ? h("span", { class: "small" }, reason) : null)));
  });
  on("log", ({ line }) => {
    const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.append(h("div", {}, line));
    while (log.children.length > KEPT_LINES) log.firstElementChild?.remove();
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  });
  on("verdict", ended);
  on("end", () => { close(); ended(); });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return;
    fill(note, () => text().eventsAway);
    note.hidden = false;
  });
  return h("section", { class: "stack tight" }, h("h3", {}, () => text().steps), note, steps, log);
}
