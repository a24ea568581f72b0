// A field with its label.

import { h, uniqueId } from "../core/dom.js";

/** @param {() => string} label @param {HTMLElement} field */
export function labelled(label, field) {
  field.id ||= uniqueId("field");
  return h("div", { class: "field" }, h("label", { for: field.id }, label), field);
}

/** @param {[string, () => string][]} options @param {string} chosen @param {Attributes} [attributes] */
export function selectField(options, chosen, attributes = {}) {
  return h("select", { id: uniqueId("field"), ...attributes }, options.map(([value, label]) => h("option", { value, selected: value === chosen }, label)));
}
