// The answer about one product, and what the user says about it: accept, correct, take back.

import { findCategory, labelOf, labelOfCode } from "../api/categories.js";
import { sendCategory, undo } from "../api/feedback.js";
import { fill, h, uniqueId } from "../core/dom.js";
import { formatPercent } from "../core/language.js";
import { common, stateMeaning } from "../core/messages.js";
import { addShortcuts } from "../core/shortcuts.js";
import { notify, notifyFailure } from "../shell/notices.js";
import { candidateList } from "../widgets/candidates.js";
import { CategoryPicker } from "../widgets/category-picker.js";
import { guidelinePanel } from "../widgets/guideline.js";
import { explanationView } from "./explanation-view.js";
import { text } from "./messages.js";
import { similarCorrections } from "./similar-corrections.js";

/**
 * @param {Prediction} prediction
 * @param {{ designation: string, description: string, photoUrl: string, isExplained: boolean }} product
 * @param {AbortSignal} signal Aborted when another answer takes its place.
 */
export function answerView(prediction, product, signal) {
  const { category, confidence, decision, accepted_at: acceptedAt } = prediction;
  const guideline = guidelinePanel();
  const picker = new CategoryPicker();
  const candidates = candidateList((candidate) => consider(candidate.code));
  const comment = h("input", { id: uniqueId("comment"), maxlength: 2000 });
  const sendButton = h("button", { type: "button", class: "primary", id: "accept", onclick: () => give() });
  /** @type {Code} */
  let chosen = category.code;
  /** @type {string | null} */
  let given = null;
  let isSending = false;

  candidates.show(prediction.top);
  picker.reset(prediction.top.flatMap(({ code }) => findCategory(code) ?? []));
  picker.addEventListener("pick", (event) => { consider(/** @type {CustomEvent<Category>} */ (event).detail.code); sendButton.focus(); });
  picker.addEventListener("consider", (event) => guideline.show(/** @type {CustomEvent<Category>} */ (event).detail.code));
  picker.addEventListener("dismiss", () => sendButton.focus());

  /** @param {Code} code */
  function consider(code) {
    chosen = code;
    candidates.mark(code);
    guideline.show(code);
    fill(sendButton, () => (chosen === category.code ? text().accept : `${text().send}: ${labelOfCode(chosen)}`), h("kbd", {}, "↵"));
  }

  async function give() {
    if (isSending) return;
    isSending = true;
    const code = chosen;
    try {
      const receipt = await sendCategory(prediction.prediction_id, code, comment.value.trim());
      given = receipt.feedback_id;
      const label = () => labelOfCode(receipt.code, receipt.label);
      notify(() => [code === category.code ? text().confirmed(label()) : text().corrected(label(), stateMeaning(receipt.state)),
        receipt.replaces ? text().replaced : ""].join(" "), { kind: "good", action: { label: () => common().undo, run: takeBack } });
    } catch (error) {
      notifyFailure(error);
    } finally {
      isSending = false;
    }
  }

  async function takeBack() {
    if (given === null) return;
    try {
      await undo(given);
      given = null;
      notify(() => text().undone);
    } catch (error) {
      notifyFailure(error);
    }
  }

  addShortcuts([
    { keys: ["Enter"], label: () => text().accept, run: () => give() },
    { keys: ["1", "2", "3", "4", "5"], label: () => text().pickKey, run: ({ key }) => candidates.choose(Number(key)) },
    { keys: ["c"], label: () => text().correct, run: () => picker.focus() },
    { keys: ["u"], label: () => common().undo, run: takeBack },
  ], signal);
  consider(category.code);

  const label = () => { const found = findCategory(category.code); return found ? labelOf(found) : category.label; };
  return h("article", { class: "stack loose", "aria-label": () => `${product.designation || common().untitled}: ${label()}` },
    h("div", { class: "stack tight" },
      category.path && category.path.length > 1 ? h("p", { class: "small soft" }, category.path.slice(0, -1).join(" › ")) : null,
      h("div", { class: "row" }, h("h2", { id: "category", tabindex: "-1" }, label, " ", h("code", { class: "small soft" }, category.code)),
        h("span", { class: "strong" }, () => formatPercent(confidence, 1)),
        h("span", { class: `badge ${decision === "accept" ? "good" : "warn"}` }, () => common().decisions[decision])),
      h("p", { class: "small soft" }, () => (decision === "accept" ? text().acceptNote : text().reviewNote)),
      acceptedAt ? h("p", { class: "small" }, () => text().acceptedAt(labelOfCode(acceptedAt.code, acceptedAt.label), acceptedAt.probability)) : null,
      prediction.degraded ? h("p", { class: "callout warn" }, () => text().degraded) : null),
    h("div", { class: "columns" },
      h("div", { class: "stack" }, candidates.element, guideline.element,
        h("div", { class: "field" }, h("label", { for: comment.id }, () => common().comment), comment),
        h("div", { class: "row" }, sendButton, h("button", { type: "button", onclick: () => picker.focus() }, () => text().correct, h("kbd", {}, "C"))),
        picker),
      h("div", { class: "stack" }, modalities(prediction),
        product.isExplained ? explanationView(prediction.explanation, prediction.explanation_problem, product) : null,
        similarCorrections(product.designation, signal))));
}

/** @param {Prediction} prediction */
function modalities({ modalities: { text: byText, image }, release }) {
  const answer = (/** @type {Candidate | null} */ one) => () =>
    (one ? `${labelOfCode(one.code, one.label)} (${formatPercent(one.probability)})` : text().noAnswer);
  return h("section", { class: "stack tight" }, h("h3", {}, () => text().byModality),
    h("dl", { class: "facts" },
      h("dt", {}, () => common().text), h("dd", {}, answer(byText)), h("dt", {}, () => common().photo), h("dd", {}, answer(image)),
      h("dt", {}, () => common().release), h("dd", {}, h("code", {}, release))));
}
