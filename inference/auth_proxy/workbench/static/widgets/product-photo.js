// <product-photo>: the photo of a product, or why there is none; its button enlarges it.

import { RequestFailed } from "../api/client.js";
import { SHOWN, loadPhoto } from "../api/photos.js";
import { explain } from "../api/problems.js";
import { fill, h, uniqueId } from "../core/dom.js";
import { common } from "../core/messages.js";

const THUMBNAIL = 96;

export class ProductPhoto extends HTMLElement {
  #sha256 = "";
  #url = "";
  #label = () => "";
  #isThumbnail = false;

  /**
   * @param {string | null | undefined} sha256
   * @param {() => string} label Name of the product, for screen readers.
   * @param {{ thumbnail?: boolean }} [options]
   */
  show(sha256, label, { thumbnail = false } = {}) {
    this.#sha256 = sha256 ?? "";
    this.#label = label;
    this.#isThumbnail = thumbnail;
    this.classList.toggle("thumbnail", thumbnail);
    if (this.#sha256) this.#load();
    else this.#explain(() => common().noPhoto);
    return this;
  }

  /** Show a photo that is not stored, by its object URL. @param {string} url @param {() => string} label */
  showUrl(url, label) {
    this.#sha256 = "";
    this.#label = label;
    this.#display(url);
    return this;
  }

  /** @param {() => string} why */
  #explain(why) {
    this.#url = "";
    fill(this, h("span", {}, why));
  }

  async #load() {
    const wanted = this.#sha256;
    fill(this);
    try {
      const url = await loadPhoto(wanted, this.#isThumbnail ? THUMBNAIL : SHOWN);
      if (wanted === this.#sha256) this.#display(url);
    } catch (error) {
      const isGone = error instanceof RequestFailed && error.status === 404 && !error.isMissingRoute;
      if (wanted === this.#sha256) this.#explain(() => (isGone ? common().photoGone : explain(error)));
    }
  }

  /** @param {string} url */
  #display(url) {
    this.#url = url;
    const image = h("img", { src: url, alt: () => common().photoOf(this.#label()), decoding: "async" });
    fill(this, this.#isThumbnail ? image
      : h("button", { type: "button", "aria-label": () => common().zoom(this.#label()), onclick: () => this.zoom() }, image));
  }

  /** Show the photo as it was sent, as large as the window. */
  zoom() {
    if (!this.#url) return;
    const image = h("img", { src: this.#url, alt: () => common().photoOf(this.#label()) });
    if (this.#sha256) loadPhoto(this.#sha256).then((url) => { image.src = url; }, () => {});
    const heading = uniqueId("photo");
    const dialog = h("dialog", { class: "zoom", "aria-labelledby": heading, onclose: () => { dialog.remove(); } },
      h("form", { method: "dialog", class: "stack" },
        image,
        h("div", { class: "row spread" },
          h("p", { id: heading, class: "small clamp grow" }, this.#label), h("button", {}, () => common().close))));
    dialog.addEventListener("keydown", (event) => { if (event.key === "z") dialog.close(); });
    document.body.append(dialog);
    dialog.showModal();
  }
}
customElements.define("product-photo", ProductPhoto);

/** @param {string | null | undefined} sha256 @param {() => string} label @param {{ thumbnail?: boolean }} [options] */
export function productPhoto(sha256, label, options) {
  return new ProductPhoto().show(sha256, label, options);
}
