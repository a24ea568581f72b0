// Try a change file, and apply it after its effects were shown. The text is kept as a draft.

import { forgetTaxonomy } from "../api/categories.js";
import { request } from "../api/client.js";
import { explain, technicalDetail } from "../api/problems.js";
import { fill, h } from "../core/dom.js";
import { keepDraft, writeDraft } from "../core/storage.js";
import { notify } from "../shell/notices.js";
import { confirmed } from "../widgets/confirm-dialog.js";
import { labelled } from "../widgets/labelled.js";
import { changeView } from "./change-view.js";
import { text } from "./messages.js";

/** @param {() => void} applied */
export function changeForm(applied) {
  const source = h("textarea", { rows: 8, spellcheck: "false", placeholder: '{"from": 1, "to": 2, "changes": [{"do": "rename", "code": "10", "labels": {"en": "…"}}]}' });
  const result = h("div", { "aria-live": "polite" });
  const apply = h("button", { type: "button", class: "primary", hidden: true, onclick: onApply }, () => text().apply);
  keepDraft(source, "taxonomy.change");
  source.addEventListener("input", () => { apply.hidden = true; });

  /** @param {boolean} isDryRun @returns {Promise<TaxonomyChange | null>} */
  async function post(isDryRun) {
    try {
      const found = await request("taxonomy/changes", { method: "POST", query: { dry_run: isDryRun || null }, json: JSON.parse(source.value) });
      source.removeAttribute("aria-invalid");
      return found;
    } catch (error) {
      source.setAttribute("aria-invalid", "true");
      fill(result, h("p", { class: "callout bad", role: "alert" },
        () => (error instanceof SyntaxError ? text().notJson : explain(error)), " ", h("span", { class: "small" }, technicalDetail(error))));
      return null;
    }
  }

  async function onTry() {
    const found = await post(true);
    apply.hidden = found === null;
    if (found) fill(result, changeView(found));
  }

  async function onApply() {
    if (!await confirmed({ title: () => text().applyQuestion, detail: () => text().applyDetail, confirm: () => text().apply })) return;
    if (!await post(false)) return;
    writeDraft("taxonomy.change", "");
    source.value = "";
    apply.hidden = true;
    result.replaceChildren();
    forgetTaxonomy();
    notify(() => text().applied, { kind: "good" });
    applied();
  }

  return h("form", { class: "stack panel", onsubmit: (event) => { event.preventDefault(); onTry(); } },
    h("h2", {}, () => text().try), labelled(() => text().file, source),
    h("div", { class: "row" }, h("button", { id: "dry-run" }, () => text().dryRun), apply), result);
}
