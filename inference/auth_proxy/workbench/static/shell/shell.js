// The frame around every page: navigation by role, the user, language, colors, and the login.

import { currentUser, logOut, mayAct, refreshSession } from "../api/session.js";
import { fill, h } from "../core/dom.js";
import { language, setLanguage } from "../core/language.js";
import { roleName } from "../core/messages.js";
import { currentPlace, placeUrl } from "../core/router.js";
import { addShortcuts } from "../core/shortcuts.js";
import { readSetting, writeSetting } from "../core/storage.js";
import { emptyState, failureState, skeleton } from "../widgets/states.js";
import { openKeysDialog } from "./keys-dialog.js";
import { loginForm, openLoginDialog } from "./login-form.js";
import { text } from "./messages.js";
import { notify, notifyFailure } from "./notices.js";
import { PAGES, pageTitle } from "./pages.js";

const THEMES = ["system", "light", "dark"];
const main = h("main", { class: "shell-main", id: "main", tabindex: "-1" });
const nav = h("nav", { class: "shell-nav", "aria-label": () => text().navigation });
const userMenu = h("div", { class: "shell-user" });
const shell = h("div", { class: "shell" },
  h("header", { class: "shell-bar" },
    h("div", { class: "brand" }, h("img", { src: "favicon.ico", alt: "" }), h("span", {}, () => text().workbench)), userMenu),
  nav, main);

let leave = new AbortController();

export async function start() {
  applyTheme();
  document.body.prepend(h("a", { class: "skip", href: "#main", onclick: skip }, () => text().skip), shell);
  addEventListener("hashchange", show);
  document.addEventListener("languagechange", setDocumentTitle);
  document.addEventListener("session-ended", show);
  document.addEventListener("session-expired", () => openLoginDialog(currentUser()?.name ?? "", () => text().expired));
  addShortcuts([{ keys: ["?"], label: () => text().showKeys, run: openKeysDialog }], new AbortController().signal);
  await refreshSession().catch(notifyFailure);
  document.addEventListener("session-started", onSessionStarted);
  show();
}

/** Show the page again for another user, or for the same one with another role. @param {Event} event */
function onSessionStarted(event) {
  const before = /** @type {CustomEvent<import("../api/session.js").Me | null>} */ (event).detail;
  if (before) notify(() => (before.name === currentUser()?.name ? text().roleChanged : text().anotherUser));
  show();
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  main.focus();
}

function applyTheme() {
  const theme = readSetting("theme") ?? "system";
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function setDocumentTitle() {
  const { page } = currentPlace();
  document.title = currentUser() && page ? `${pageTitle(page)} – ${text().workbench}` : text().workbench;
}

/** Show the page that the address names, or the login. */
async function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const user = currentUser();
  const { page, query } = currentPlace();
  const entry = PAGES.find(({ name }) => name === (page || PAGES[0].name));
  setDocumentTitle();
  shell.classList.toggle("signed-out", user === null);
  fill(userMenu, user ? [h("span", { class: "soft small" }, () => `${user.name} · ${roleName(user.role)}`)] : null, tools(user !== null));
  showNavigation(entry?.name ?? "");
  if (user === null) {
    fill(main, h("div", { class: "sign-in stack" }, h("h1", {}, () => text().logIn), loginForm()));
  } else if (!entry) {
    fill(main, emptyState(() => text().notFound));
  } else if (!mayAct(entry.role)) {
    fill(main, emptyState(() => `${text().notAllowed} ${roleName(entry.role)}`));
  } else {
    await open(entry, query, signal);
  }
}

/** @param {import("./pages.js").PageEntry} entry @param {URLSearchParams} query @param {AbortSignal} signal */
async function open(entry, query, signal) {
  const content = h("div", { class: "page", "data-page": entry.name }, skeleton());
  fill(main, content);
  try {
    const { mount } = await entry.load();
    if (signal.aborted) return;
    content.replaceChildren();
    await mount(content, { query, signal });
    if (!signal.aborted && (document.activeElement === null || document.activeElement === document.body)) main.focus({ preventScroll: true });
  } catch (error) {
    if (!signal.aborted) fill(content, failureState(error, show));
  }
}

/** @param {string} current */
function showNavigation(current) {
  nav.hidden = currentUser() === null;
  fill(nav, h("ul", {}, PAGES.filter(({ role }) => mayAct(role)).map(({ name }) =>
    h("li", {}, h("a", { href: placeUrl(name), "aria-current": name === current ? "page" : null }, () => pageTitle(name))))));
}

/** @param {boolean} isLoggedIn */
function tools(isLoggedIn) {
  const theme = h("select", { "aria-label": () => text().theme, onchange: () => { writeSetting("theme", theme.value); applyTheme(); } },
    THEMES.map((name) => h("option", { value: name, selected: (readSetting("theme") ?? "system") === name },
      () => /** @type {Record<string, string>} */ (text().themes)[name])));
  const other = () => (language() === "fr" ? "en" : "fr");
  return [
    h("div", {}, theme),
    h("button", { type: "button", class: "plain", lang: other, id: "language", onclick: () => setLanguage(other()) },
      () => (language() === "fr" ? "English" : "Français")),
    h("button", { type: "button", class: "plain", onclick: openKeysDialog, "aria-label": () => text().keys, title: () => text().keys }, "?"),
    h("a", { class: "small", href: "docs" }, () => text().api),
    isLoggedIn ? h("button", { type: "button", class: "plain", id: "log-out", onclick: () => { logOut().catch(notifyFailure); } }, () => text().logOut) : null,
  ];
}
