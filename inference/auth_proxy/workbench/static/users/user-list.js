// The users of the embedded issuer.

import { RequestFailed, request } from "../api/client.js";
import { currentUser } from "../api/session.js";
import { fill, h } from "../core/dom.js";
import { formatDate } from "../core/language.js";
import { common, roleName } from "../core/messages.js";
import { notify, notifyFailure } from "../shell/notices.js";
import { confirmed } from "../widgets/confirm-dialog.js";
import { dataTable } from "../widgets/data-table.js";
import { labelled, selectField } from "../widgets/labelled.js";
import { failureState, skeleton } from "../widgets/states.js";
import { text } from "./messages.js";

const ROLES = /** @type {[string, () => string][]} */ (["user", "reviewer", "admin"].map((role) => [role, () => roleName(role)]));

/** @param {AbortSignal} signal */
export function userList(signal) {
  const place = h("div", { class: "stack" });

  async function load() {
    if (!place.hasChildNodes()) fill(place, skeleton(3));
    try {
      const users = await request("users", { signal });
      fill(place, table(users), form());
    } catch (error) {
      if (signal.aborted) return;
      const isExternal = error instanceof RequestFailed && error.isMissingRoute;
      fill(place, isExternal ? h("p", { class: "callout" }, () => text().noUsers) : failureState(error, load));
    }
  }

  /** @param {() => Promise<unknown>} change @param {() => string} message */
  async function act(change, message) {
    try {
      await change();
      notify(message, { kind: "good" });
    } catch (error) {
      notifyFailure(error);
    }
    await load();
  }

  /** @param {User[]} users */
  function table(users) {
    return dataTable(() => text().users, [
      { title: () => common().name, heading: true, cell: (one) => [one.name, one.name === currentUser()?.name ? h("span", { class: "soft small" }, () => ` (${text().you})`) : null] },
      { title: () => common().role, cell: (one) => roleField(one) },
      { title: () => text().state, cell: (one) => h("span", { class: `badge ${one.disabled ? "bad" : "good"}` }, () => (one.disabled ? text().disabled : text().active)) },
      { title: () => common().created, cell: (one) => () => formatDate(one.created * 1000) },
      { title: () => common().actions, cell: (one) => h("div", { class: "row" },
        h("button", { type: "button", "aria-label": () => `${one.disabled ? text().enable : text().disable} ${one.name}`, onclick: () => patch(one, { disabled: !one.disabled }) },
          () => (one.disabled ? text().enable : text().disable)),
        h("button", { type: "button", class: "danger", "aria-label": () => `${text().remove} ${one.name}`, onclick: () => remove(one) }, () => text().remove)) },
    ], users).element;
  }

  /** @param {User} user */
  function roleField(user) {
    const field = selectField(ROLES, user.role, { "aria-label": () => text().roleOf(user.name), onchange: () => { patch(user, { role: field.value }); } });
    return field;
  }

  /** @param {User} user @param {Record<string, unknown>} change */
  const patch = (user, change) => act(() => request(`users/${user.name}`, { method: "PATCH", json: change }), () => text().changed);

  /** @param {User} user */
  async function remove(user) {
    const isSure = await confirmed({ title: () => text().removeUser(user.name), detail: () => text().removeUserDetail, confirm: () => text().remove, danger: true });
    if (isSure) await act(() => request(`users/${user.name}`, { method: "DELETE" }), () => text().removed);
  }

  function form() {
    const name = h("input", { autocomplete: "off", spellcheck: "false", required: true });
    const password = h("input", { type: "password", autocomplete: "new-password", minlength: 12, maxlength: 256, required: true });
    const role = selectField(ROLES, "user");
    return h("details", {}, h("summary", {}, () => text().addUser),
      h("form", { class: "filters", onsubmit: async (event) => {
        event.preventDefault();
        try {
          await request("users", { method: "POST", json: { name: name.value.trim(), password: password.value, role: role.value } });
          notify(() => text().added, { kind: "good" });
          await load();
        } catch (error) {
          notifyFailure(error);
        }
      } }, labelled(() => common().name, name), labelled(() => text().password, password), labelled(() => common().role, role),
      h("button", { class: "primary" }, () => text().add)));
  }

  load();
  return place;
}
