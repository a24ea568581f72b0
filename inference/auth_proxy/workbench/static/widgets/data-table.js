// A table with a caption, and a list that loads page by page into one.

import { fill, h } from "../core/dom.js";
import { common } from "../core/messages.js";
import { notifyFailure } from "../shell/notices.js";
import { failureState, skeleton } from "./states.js";

/**
 * @template T
 * @typedef {object} Column
 * @property {() => string} title
 * @property {(row: T) => Child} cell
 * @property {boolean} [numeric]
 * @property {boolean} [heading] Whether its cells name their rows.
 */

/**
 * @template T
 * @param {() => string} caption
 * @param {Column<T>[]} columns
 * @param {T[]} rows
 */
export function dataTable(caption, columns, rows) {
  const body = h("tbody", {});
  const table = h("div", { class: "table-scroll", role: "region", tabindex: "0", "aria-label": caption },
    h("table", {}, h("caption", { class: "visually-hidden" }, caption),
      h("thead", {}, h("tr", {}, columns.map(({ title, numeric }) => h("th", { scope: "col", class: numeric ? "numeric" : null }, title)))),
      body));
  /** @param {T} row */
  const element = (row) => h("tr", {}, columns.map(({ cell, numeric, heading }) =>
    h(heading ? "th" : "td", { scope: heading ? "row" : null, class: numeric ? "numeric" : null }, cell(row))));
  body.append(...rows.map(element));
  return {
    element: table,
    /** @param {T[]} added */
    append: (added) => body.append(...added.map(element)),
  };
}

/**
 * Load a list with a cursor into a table, with a button for its next page.
 *
 * @template T
 * @param {object} options
 * @param {() => string} options.caption
 * @param {Column<T>[]} options.columns
 * @param {(cursor: string | null) => Promise<Page<T>>} options.load
 * @param {() => Child} options.empty What is shown in place of an empty table.
 * @param {AbortSignal} options.signal
 */
export function pagedTable({ caption, columns, load, empty, signal }) {
  const place = h("div", { class: "stack" });
  let current = new AbortController();
  signal.addEventListener("abort", () => current.abort());

  async function reload() {
    current.abort();
    current = new AbortController();
    const { signal: loading } = current;
    if (!place.querySelector("table")) fill(place, skeleton());
    try {
      const page = await load(null);
      if (!loading.aborted) show(page);
    } catch (error) {
      if (!loading.aborted) fill(place, failureState(error, reload));
    }
  }

  /** @param {Page<T>} page */
  function show(page) {
    if (page.items.length === 0 && page.next_cursor === null) {
      fill(place, empty());
      return;
    }
    const table = dataTable(caption, columns, page.items);
    let cursor = page.next_cursor;
    const more = h("button", { type: "button", class: "no-print", hidden: cursor === null, onclick: async () => {
      more.disabled = true;
      try {
        const next = await load(cursor);
        cursor = next.next_cursor;
        table.append(next.items);
        more.hidden = cursor === null;
      } catch (error) {
        notifyFailure(error);
      }
      more.disabled = false;
    } }, () => common().more);
    fill(place, table.element, h("div", { class: "row" }, more));
  }

  return { element: place, reload };
}
