// Keyboard shortcuts of the current page. Single keys can be turned off (WCAG 2.1.4), and do nothing while typing.

import { readSetting, writeSetting } from "./storage.js";

/**
 * @typedef {object} Shortcut
 * @property {string[]} keys Values of `KeyboardEvent.key`; a prefix `Ctrl+` also means the command key, and works in fields.
 * @property {() => string} label
 * @property {(event: KeyboardEvent) => void} run
 */

/** @type {Set<Shortcut>} */
const active = new Set();

export const shortcuts = () => [...active];
export const areShortcutsOn = () => readSetting("shortcuts") !== "off";

/** @param {boolean} on */
export const setShortcutsOn = (on) => writeSetting("shortcuts", on ? "" : "off");

/** Add shortcuts until the signal is aborted. @param {Shortcut[]} added @param {AbortSignal} signal */
export function addShortcuts(added, signal) {
  added.forEach((one) => active.add(one));
  signal.addEventListener("abort", () => added.forEach((one) => active.delete(one)));
}

/** @param {EventTarget | null} target */
function isField(target) {
  return target instanceof HTMLElement
    && (target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=file])"));
}

/** Return whether Enter or the space bar already does something there. @param {EventTarget | null} target */
function isControl(target) {
  return target instanceof HTMLElement && target.closest("button, a[href], summary, input, label, [role=option]") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.isComposing) return;
  const withCtrl = event.ctrlKey || event.metaKey;
  const dialog = document.querySelector("dialog[open]");
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (dialog) return;
  if (!withCtrl && (isField(event.target) || !areShortcutsOn())) return;
  if (!withCtrl && (key === "Enter" || key === " ") && isControl(event.target)) return;
  const wanted = withCtrl ? `Ctrl+${key}` : key;
  const found = [...active].reverse().find(({ keys }) => keys.includes(wanted));
  if (found) {
    event.preventDefault();
    found.run(event);
  }
});
