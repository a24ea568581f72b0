// Users, API keys and the audit log.

import { h } from "../core/dom.js";
import { auditList } from "./audit-list.js";
import { keyList } from "./key-list.js";
import { text } from "./messages.js";
import { userList } from "./user-list.js";

/** @type {import("../shell/pages.js").Mount} */
export function mount(page, { signal }) {
  page.append(
    h("h1", {}, () => text().title),
    h("section", { class: "stack" }, userList(signal)),
    h("section", { class: "stack" }, h("h2", {}, () => text().keys), keyList(signal)),
    h("section", { class: "stack" }, h("h2", {}, () => text().audit), auditList(signal)));
}
