// The list of keyboard shortcuts of the current page.

import { h, uniqueId } from "../core/dom.js";
import { common } from "../core/messages.js";
import { areShortcutsOn, setShortcutsOn, shortcuts } from "../core/shortcuts.js";
import { text } from "./messages.js";

const NAMES = /** @type {Record<string, string>} */ ({
  ArrowDown: "↓", ArrowUp: "↑", ArrowRight: "→", ArrowLeft: "←", Enter: "Enter", Escape: "Esc", Backspace: "⌫",
});

/** @param {string} key */
const keyName = (key) => NAMES[key] ?? key.replace(/^Ctrl\+/, "Ctrl ").replace("Enter", "↵");

export function openKeysDialog() {
  const heading = uniqueId("keys");
  const toggle = h("input", { type: "checkbox", checked: areShortcutsOn(), onchange: () => { setShortcutsOn(toggle.checked); } });
  const dialog = h("dialog", { "aria-labelledby": heading, onclose: () => { dialog.remove(); } },
    h("form", { method: "dialog", class: "stack" },
      h("h2", { id: heading }, () => text().keys),
      h("dl", { class: "keys" }, shortcuts().map(({ keys, label }) => [
        h("dt", {}, keys.map((key) => h("kbd", {}, keyName(key)))), h("dd", {}, label),
      ])),
      h("label", { class: "check" }, toggle, () => text().keysOn),
      h("div", { class: "row" }, h("button", { class: "primary" }, () => common().close))));
  document.body.append(dialog);
  dialog.showModal();
}
