// The state of a correction, with what it means as its title.

import { h } from "../core/dom.js";
import { shortState, stateMeaning } from "../core/messages.js";

const TONES = /** @type {Record<string, string>} */ ({ pending: "warn", trusted: "good", approved: "good", agreed: "good", rejected: "bad" });

/** @param {string} state */
export const stateBadge = (state) =>
  h("span", { class: `badge ${TONES[state] ?? ""}`, title: () => stateMeaning(state) }, () => shortState(state));
