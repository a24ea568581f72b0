// The product to classify: title, description and photo. Texts are kept as drafts until they are cleared.

import { fill, h, uniqueId } from "../core/dom.js";
import { common } from "../core/messages.js";
import { keepDraft, writeDraft } from "../core/storage.js";
import { notify } from "../shell/notices.js";
import { ProductPhoto } from "../widgets/product-photo.js";
import { text } from "./messages.js";

/** The photo lives as long as the tab: a visit to another page keeps it. @type {{ file: File, url: string } | null} */
let photo = null;

/** @param {() => void} submit @param {AbortSignal} signal */
export function productForm(submit, signal) {
  const designation = h("input", { id: uniqueId("title"), maxlength: 10_000, lang: "fr" });
  const description = h("textarea", { id: uniqueId("description"), rows: 6, maxlength: 50_000, lang: "fr" });
  const file = h("input", { id: uniqueId("photo"), type: "file", accept: "image/jpeg,image/png,image/webp,image/avif", onchange: () => { setPhoto(file.files?.[0]); } });
  const explain = h("input", { type: "checkbox" });
  const preview = h("div", { class: "preview stack" });
  const drop = h("div", {
    class: "drop",
    ondragover: (event) => { event.preventDefault(); drop.classList.add("over"); },
    ondragleave: () => { drop.classList.remove("over"); },
    ondrop: (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      setPhoto(/** @type {DragEvent} */ (event).dataTransfer?.files[0]);
    },
  }, h("label", { for: file.id }, () => text().photoField), preview, h("p", { class: "small soft" }, () => text().choosePhoto), file);

  /** @param {File | undefined} chosen */
  function setPhoto(chosen) {
    if (!chosen) return;
    if (!chosen.type.startsWith("image/")) {
      notify(() => text().notAnImage, { kind: "bad", detail: chosen.name });
      return;
    }
    if (photo) URL.revokeObjectURL(photo.url);
    photo = { file: chosen, url: URL.createObjectURL(chosen) };
    showPreview();
  }

  function removePhoto() {
    if (photo) URL.revokeObjectURL(photo.url);
    photo = null;
    file.value = "";
    showPreview();
  }

  function showPreview() {
    fill(preview, photo ? [new ProductPhoto().showUrl(photo.url, () => designation.value || common().untitled),
      h("span", { class: "small grow" }, photo.file.name), h("button", { type: "button", class: "plain", onclick: removePhoto }, () => text().removePhoto)] : null);
  }

  keepDraft(designation, "classify.designation");
  keepDraft(description, "classify.description");
  showPreview();
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (pasted) setPhoto(pasted);
  }, { signal });

  return {
    element: h("form", { class: "stack", onsubmit: (event) => { event.preventDefault(); submit(); } },
      h("div", { class: "field" }, h("label", { for: designation.id }, () => common().title), designation),
      h("div", { class: "field" }, h("label", { for: description.id }, () => common().description), description),
      drop,
      h("label", { class: "check" }, explain, () => text().explain),
      h("div", { class: "row" },
        h("button", { class: "primary", id: "classify" }, () => text().submit, h("kbd", {}, "Ctrl ↵")),
        h("button", { type: "button", onclick: clear }, () => text().clear))),
    read: () => ({ designation: designation.value, description: description.value, photo, explain: explain.checked }),
    focus: () => designation.focus(),
  };

  function clear() {
    for (const [field, name] of /** @type {const} */ ([[designation, "designation"], [description, "description"]])) {
      field.value = "";
      writeDraft(`classify.${name}`, "");
    }
    removePhoto();
    designation.focus();
  }
}
