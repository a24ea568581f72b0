// Classify one product.

import { loadTaxonomy } from "../api/categories.js";
import { request } from "../api/client.js";
import { explain, technicalDetail } from "../api/problems.js";
import { fill, h } from "../core/dom.js";
import { addShortcuts } from "../core/shortcuts.js";
import { emptyState, skeleton } from "../widgets/states.js";
import { answerView } from "./answer-view.js";
import { text } from "./messages.js";
import { productForm } from "./product-form.js";

/** @type {import("../shell/pages.js").Mount} */
export function mount(page, { signal }) {
  const form = productForm(classify, signal);
  const answer = h("div", { "aria-live": "polite" }, emptyState(() => text().nothing, () => text().hint));
  let shown = new AbortController();
  signal.addEventListener("abort", () => shown.abort());
  loadTaxonomy().catch(() => {});

  async function classify() {
    const { photo, explain: isExplained, ...texts } = form.read();
    shown.abort();
    shown = new AbortController();
    const current = shown.signal;
    fill(answer, skeleton());
    try {
      const [prediction] = await Promise.all([
        /** @type {Promise<Prediction>} */ (request("predict", { method: "POST", body: asForm(texts, photo?.file, isExplained), signal: current })),
        loadTaxonomy().catch(() => null),
      ]);
      if (current.aborted) return;
      fill(answer, answerView(prediction, { ...texts, photoUrl: photo?.url ?? "", isExplained }, current));
      /** @type {HTMLElement | null} */ (answer.querySelector("#category"))?.focus({ preventScroll: true });
    } catch (error) {
      if (current.aborted) return;
      fill(answer, h("div", { class: "callout bad", role: "alert" }, h("p", {}, () => explain(error)), h("p", { class: "small" }, technicalDetail(error))));
    }
  }

  addShortcuts([
    { keys: ["Ctrl+Enter"], label: () => text().submit, run: classify },
    { keys: ["z"], label: () => text().zoom, run: () => /** @type {import("../widgets/product-photo.js").ProductPhoto | null} */ (page.querySelector("product-photo"))?.zoom() },
  ], signal);
  page.append(h("div", { class: "page-head" }, h("h1", {}, () => text().title)), h("div", { class: "split" }, form.element, answer));
  form.focus();
}

/** @param {{ designation: string, description: string }} texts @param {File | undefined} photo @param {boolean} isExplained */
function asForm(texts, photo, isExplained) {
  const body = new FormData();
  for (const [name, value] of Object.entries(texts)) if (value) body.set(name, value);
  if (photo) body.set("image", photo);
  if (isExplained) body.set("explain", "true");
  return body;
}
