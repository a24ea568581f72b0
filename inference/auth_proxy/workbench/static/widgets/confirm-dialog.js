// Ask before something that cannot be taken back, or that changes what is in service.

import { h, uniqueId } from "../core/dom.js";
import { common } from "../core/messages.js";

/**
 * Return whether the user confirms.
 *
 * @param {{ title: () => string, detail: () => string, confirm: () => string, danger?: boolean }} texts
 * @returns {Promise<boolean>}
 */
export function confirmed({ title, detail, confirm, danger = false }) {
  return new Promise((resolve) => {
    const heading = uniqueId("confirm");
    const returnTo = document.activeElement;
    const dialog = h("dialog", {
      "aria-labelledby": heading, onclose: () => {
        resolve(dialog.returnValue === "yes");
        dialog.remove();
        if (returnTo instanceof HTMLElement) returnTo.focus();
      },
    }, h("form", { method: "dialog", class: "stack" }, h("h2", { id: heading }, title), h("p", {}, detail),
      h("div", { class: "row" }, h("button", { value: "yes", class: danger ? "danger" : "primary" }, confirm), h("button", { value: "no" }, () => common().cancel))));
    document.body.append(dialog);
    dialog.showModal();
  });
}
