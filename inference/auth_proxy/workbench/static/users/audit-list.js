// Who did what, newest first.

import { request } from "../api/client.js";
import { h } from "../core/dom.js";
import { formatDate } from "../core/language.js";
import { roleName } from "../core/messages.js";
import { pagedTable } from "../widgets/data-table.js";
import { labelled } from "../widgets/labelled.js";
import { emptyState } from "../widgets/states.js";
import { text } from "./messages.js";

const WAIT_MS = 300;

/** @param {AbortSignal} signal */
export function auditList(signal) {
  const actor = h("input", { type: "search", spellcheck: "false" });
  const table = pagedTable({
    caption: () => text().audit,
    columns: [
      { title: () => text().when, cell: (/** @type {AuditEvent} */ one) => h("time", { datetime: one.created }, () => formatDate(one.created)) },
      { title: () => text().actor, heading: true, cell: (one) => [one.actor || "–", one.role ? h("span", { class: "soft small" }, () => ` (${roleName(one.role ?? "")})`) : null] },
      { title: () => text().action, cell: (one) => one.action.replaceAll("_", " ") },
      { title: () => text().target, cell: (one) => h("code", {}, one.target) },
      { title: () => text().outcome, cell: (one) => [() => /** @type {Record<string, string>} */ (text().outcomes)[one.outcome] ?? one.outcome, one.reason ? h("span", { class: "soft small" }, ` ${one.reason}`) : null] },
      { title: () => text().address, cell: (one) => one.address || "–" },
    ],
    load: (cursor) => request("audit", { query: { actor: actor.value.trim(), cursor, limit: 50 }, signal }),
    empty: () => emptyState(() => text().noEvents),
    signal,
  });
  let timer = 0;
  actor.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(table.reload, WAIT_MS);
  });
  table.reload();
  return h("div", { class: "stack" }, h("div", { class: "filters no-print" }, labelled(() => text().actorFilter, actor)), table.element);
}
