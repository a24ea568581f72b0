// The filters of the list of corrections; they are in the address, so that a reload keeps them.

import { fill, h, uniqueId } from "../core/dom.js";
import { formatNumber } from "../core/language.js";
import { common, shortState } from "../core/messages.js";
import { rememberFilters } from "../core/router.js";
import { labelled, selectField } from "../widgets/labelled.js";
import { text } from "./messages.js";

const STATES = ["pending", "trusted", "approved", "agreed", "rejected", "corrected", "withdrawn", "superseded"];
const WAIT_MS = 300;

/**
 * @param {URLSearchParams} given
 * @param {() => void} changed
 */
export function reviewFilters(given, changed) {
  const state = selectField([["", () => common().all], ...STATES.map((one) => /** @type {[string, () => string]} */ ([one, () => shortState(one)]))], given.get("state") ?? "pending");
  const order = selectField([["newest", () => text().newest], ["uncertain", () => text().uncertain]], given.get("order") ?? "uncertain");
  const fields = {
    q: input("search", given.get("q")), user: input("search", given.get("user")), category: input("search", given.get("category")),
    max_confidence: input("number", given.get("max_confidence"), { min: 0, max: 1, step: 0.05 }),
    since: input("date", given.get("since")), until: input("date", given.get("until")),
  };
  let timer = 0;

  function onChange() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      rememberFilters({ state: state.value || "all", order: order.value, ...values() });
      changed();
    }, WAIT_MS);
  }

  function values() {
    return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value.trim()]));
  }

  if (given.get("state") === "all") state.value = "";
  const form = h("form", { class: "filters no-print", role: "search", oninput: onChange, onsubmit: (event) => { event.preventDefault(); onChange(); } },
    labelled(() => common().state, state), labelled(() => text().order, order), labelled(() => text().searchText, fields.q),
    labelled(() => common().category, fields.category), labelled(() => common().user, fields.user), labelled(() => text().least, fields.max_confidence),
    labelled(() => common().since, fields.since), labelled(() => common().until, fields.until));
  return {
    element: form,
    /** Show how many corrections each state has. @param {Record<string, number> | undefined} counts */
    showCounts(counts) {
      for (const option of state.options) {
        const count = counts?.[option.value];
        fill(option, () => `${option.value ? shortState(option.value) : common().all}${count === undefined ? "" : ` (${formatNumber(count)})`}`);
      }
    },
    /** Return the query of the list. */
    query() {
      const { since, until, ...rest } = values();
      return { state: state.value, order: order.value, ...rest, since: since && `${since}T00:00:00Z`, until: until && `${until}T00:00:00Z` };
    },
    get isFiltered() { return Object.values(values()).some(Boolean) || state.value !== "pending"; },
    clear() {
      form.reset();
      for (const field of Object.values(fields)) field.value = "";
      state.value = "pending";
      onChange();
    },
  };
}

/** @param {string} type @param {string | null} value @param {Record<string, number>} [limits] */
function input(type, value, limits = {}) {
  return h("input", { id: uniqueId("filter"), type, value: value ?? "", ...limits });
}
