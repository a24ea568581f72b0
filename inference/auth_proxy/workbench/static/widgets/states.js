// What a list or page shows in place of its content: nothing yet, nothing at all, or why it cannot be shown.

import { explain, technicalDetail } from "../api/problems.js";
import { fill, h } from "../core/dom.js";
import { translations } from "../core/language.js";
import { common } from "../core/messages.js";

const text = translations({
  en: { failed: "This cannot be shown", retry: "Try again" },
  fr: { failed: "Ceci ne peut pas être affiché", retry: "Réessayer" },
});

/** Return gray lines in the place of a list that loads; they appear after 200 ms. @param {number} [lines] */
export function skeleton(lines = 6) {
  return h("div", { class: "skeleton", role: "status" },
    h("span", { class: "visually-hidden" }, () => common().loading), Array.from({ length: lines }, () => h("i", {})));
}

/** @param {() => string} title @param {() => string} [hint] @param {...Child} more */
export const emptyState = (title, hint = () => "", ...more) =>
  h("div", { class: "state" }, h("h2", {}, title), h("p", {}, hint), ...more);

/** @param {unknown} error @param {() => void} [retry] */
export const failureState = (error, retry) =>
  h("div", { class: "state", role: "alert" }, h("h2", {}, () => text().failed), h("p", {}, () => explain(error)),
    h("p", { class: "small" }, technicalDetail(error)),
    retry ? h("button", { type: "button", onclick: retry }, () => text().retry) : null);

/**
 * Load something into an element: a skeleton first, then what `show` returns, or the reason why not.
 *
 * @template T
 * @param {Element} place
 * @param {() => Promise<T>} load
 * @param {(found: T) => Child} show
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export async function loadInto(place, load, show, signal) {
  if (!place.hasChildNodes()) fill(place, skeleton());
  try {
    const found = await load();
    if (!signal?.aborted) fill(place, show(found));
  } catch (error) {
    if (!signal?.aborted) fill(place, failureState(error, () => { place.replaceChildren(); loadInto(place, load, show, signal); }));
  }
}
