// Short messages at the edge of the window, read out by screen readers; errors stay until they are closed.

import { explain, technicalDetail } from "../api/problems.js";
import { h } from "../core/dom.js";
import { common } from "../core/messages.js";

const SHOWN_MS = 6000;
const region = h("div", { class: "notices", role: "status", "aria-live": "polite" });
document.body.append(region);
document.addEventListener("session-ended", () => region.replaceChildren());

/**
 * @param {() => string} message
 * @param {{ kind?: "good" | "bad" | "", detail?: string, action?: { label: () => string, run: () => void } }} [options]
 */
export function notify(message, { kind = "", detail = "", action } = {}) {
  const remove = () => { notice.remove(); };
  const notice = h("div", { class: `notice ${kind}` },
    h("div", {}, h("p", {}, message), detail ? h("p", { class: "small soft" }, detail) : null),
    h("div", { class: "row" },
      action ? h("button", { type: "button", class: "plain", onclick: () => { remove(); action.run(); } }, action.label) : null,
      h("button", { type: "button", class: "plain", onclick: remove, "aria-label": () => common().close }, "×")));
  while (region.children.length > 2) region.firstElementChild?.remove();
  region.append(notice);
  if (kind !== "bad") setTimeout(remove, SHOWN_MS);
}

/** Show what went wrong, with the detail of the gateway. @param {unknown} error @param {() => string} [what] */
export function notifyFailure(error, what) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  notify(() => (what ? `${what()} – ${explain(error)}` : explain(error)), { kind: "bad", detail: technicalDetail(error) });
}
