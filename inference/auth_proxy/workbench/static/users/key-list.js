// API keys of machines. The secret of a new one is shown once.

import { request } from "../api/client.js";
import { fill, h } from "../core/dom.js";
import { formatAge, formatDate } from "../core/language.js";
import { common, roleName } from "../core/messages.js";
import { notify, notifyFailure } from "../shell/notices.js";
import { confirmed } from "../widgets/confirm-dialog.js";
import { dataTable } from "../widgets/data-table.js";
import { labelled, selectField } from "../widgets/labelled.js";
import { emptyState, loadInto } from "../widgets/states.js";
import { text } from "./messages.js";

const ROLES = /** @type {[string, () => string][]} */ (["user", "reviewer", "admin"].map((role) => [role, () => roleName(role)]));

/** @param {AbortSignal} signal */
export function keyList(signal) {
  const table = h("div", {});
  const secret = h("div", { "aria-live": "polite" });
  const load = () => loadInto(table, () => request("keys", { signal }),
    ({ items }) => (items.length === 0 ? emptyState(() => text().noKeys, () => text().noKeysHint) : keyTable(items)), signal);

  /** @param {ApiKey[]} keys */
  function keyTable(keys) {
    return dataTable(() => text().keys, [
      { title: () => common().name, heading: true, cell: (one) => one.name },
      { title: () => common().role, cell: (one) => () => roleName(one.role) },
      { title: () => text().createdBy, cell: (one) => one.created_by },
      { title: () => text().expires, cell: (one) => () => (one.expires ? formatDate(one.expires) : text().never) },
      { title: () => text().lastUsed, cell: (one) => () => (one.last_used ? formatAge(one.last_used) : text().notUsed) },
      { title: () => common().actions, cell: (one) => h("button", { type: "button", class: "danger", "aria-label": () => `${text().remove} ${one.name}`, onclick: () => remove(one) }, () => text().remove) },
    ], keys).element;
  }

  /** @param {ApiKey} key */
  async function remove(key) {
    if (!await confirmed({ title: () => text().removeKey(key.name), detail: () => text().removeKeyDetail, confirm: () => text().remove, danger: true })) return;
    try {
      await request(`keys/${key.id}`, { method: "DELETE" });
      notify(() => text().removed, { kind: "good" });
    } catch (error) {
      notifyFailure(error);
    }
    load();
  }

  /** @param {string} key */
  function showSecret(key) {
    const copy = async () => {
      await navigator.clipboard?.writeText(key);
      notify(() => text().copied);
    };
    fill(secret, h("div", { class: "callout warn stack tight" }, h("p", {}, () => text().keyShown), h("code", { class: "strong" }, key),
      h("div", { class: "row" }, h("button", { type: "button", onclick: copy }, () => text().copy))));
  }

  const name = h("input", { autocomplete: "off", spellcheck: "false", required: true });
  const role = selectField(ROLES, "user");
  const expires = h("input", { type: "date" });
  const form = h("form", { class: "filters", onsubmit: async (event) => {
    event.preventDefault();
    try {
      const json = { name: name.value.trim(), role: role.value, ...(expires.value ? { expires: `${expires.value}T00:00:00Z` } : {}) };
      showSecret((await request("keys", { method: "POST", json })).key);
      name.value = "";
    } catch (error) {
      notifyFailure(error);
    }
    load();
  } }, labelled(() => common().name, name), labelled(() => common().role, role), labelled(() => text().expires, expires), h("button", { class: "primary" }, () => text().create));
  load();
  return h("div", { class: "stack" }, secret, table, h("details", {}, h("summary", {}, () => text().addKey), form));
}
