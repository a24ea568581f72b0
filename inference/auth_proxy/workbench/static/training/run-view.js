// One training run: state, cause, verdict with its reasons.

import { h } from "../core/dom.js";
import { formatDate, formatNumber, formatScore } from "../core/language.js";
import { common } from "../core/messages.js";
import { causeName, runStateName, text } from "./messages.js";

const TONES = /** @type {Record<string, string>} */ ({ waiting: "", running: "accent", succeeded: "good", failed: "bad" });

/** @param {string} state */
export const runBadge = (state) => h("span", { class: `badge ${TONES[state] ?? ""}` }, () => runStateName(state));

/** @param {Run} run */
export function runFacts(run) {
  return h("dl", { class: "facts" },
    h("dt", {}, () => common().state), h("dd", {}, runBadge(run.state), run.reason ? h("span", { class: "small" }, ` ${run.reason}`) : null),
    h("dt", {}, () => text().cause), h("dd", {}, () => causeName(run.cause)),
    h("dt", {}, () => text().requestedBy), h("dd", {}, run.requested_by),
    h("dt", {}, () => text().corrections), h("dd", {}, () => formatNumber(run.corrections)),
    h("dt", {}, () => common().created), h("dd", {}, () => formatDate(run.created)),
    h("dt", {}, () => text().started_at), h("dd", {}, () => formatDate(run.started)),
    h("dt", {}, () => text().finished), h("dd", {}, () => formatDate(run.finished)));
}

/** @param {Verdict} verdict */
export function verdictView(verdict) {
  const metrics = Object.entries(verdict.metrics ?? {}).filter(([, value]) => typeof value === "number");
  return h("section", { class: "stack tight" }, h("h3", {}, () => text().verdict),
    h("div", { class: "row" },
      h("span", { class: `badge ${verdict.promoted ? "good" : "warn"}` }, () => (verdict.promoted ? text().promoted : text().notPromoted)),
      verdict.release ? h("code", {}, verdict.release) : null),
    h("ul", { class: "stack tight" }, verdict.reasons.map((reason) => h("li", {}, reason))),
    metrics.length > 0 ? h("dl", { class: "facts small" }, metrics.map(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, () => formatScore(Number(value)))])) : null);
}
