// The login: as a page for a new session, as a dialog over the page when the session ended while it was open.

import { RequestFailed } from "../api/client.js";
import { explain, technicalDetail } from "../api/problems.js";
import { externalLoginUrl, isIssuerExternal, logIn } from "../api/session.js";
import { fill, h, uniqueId } from "../core/dom.js";
import { labelled } from "../widgets/labelled.js";
import { text } from "./messages.js";

/** Return the form. @param {string} [name] Name of the user whose session ended. */
export function loginForm(name = "") {
  const failure = h("p", { class: "callout bad", role: "alert", hidden: true });
  const user = h("input", { name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true, value: name });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const form = h("form", { class: "stack", name: "login", onsubmit: submit },
    labelled(() => text().name, user), labelled(() => text().password, password),
    h("button", { class: "primary" }, () => text().logIn));
  const place = h("div", { class: "stack" }, failure, form);
  isIssuerExternal().then((isExternal) => { if (isExternal) form.replaceWith(externalLogin(name !== "")); });
  return place;

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    failure.hidden = true;
    try {
      await logIn(user.value.trim(), password.value);
    } catch (error) {
      const isWrong = error instanceof RequestFailed && error.status === 401;
      fill(failure, () => (isWrong ? text().wrong : explain(error)), isWrong ? "" : h("span", { class: "small" }, ` ${technicalDetail(error)}`));
      failure.hidden = false;
      password.select();
    }
  }
}

/** Return the link to the login of an external issuer; over a page it opens in another tab, so that the page stays. @param {boolean} isOverPage */
function externalLogin(isOverPage) {
  return h("a", { class: "button", href: String(externalLoginUrl()), target: isOverPage ? "_blank" : null, rel: "noopener" }, () => text().external);
}

/** Show the login over the page until the session is renewed. @param {string} name @param {() => string} why */
export function openLoginDialog(name, why) {
  const heading = uniqueId("login");
  const returnTo = document.activeElement;
  const dialog = h("dialog", { "aria-labelledby": heading, oncancel: (event) => event.preventDefault() },
    h("div", { class: "stack" }, h("h2", { id: heading }, () => text().logIn), h("p", {}, why), loginForm(name)));
  const close = () => {
    dialog.remove();
    if (returnTo instanceof HTMLElement) returnTo.focus();
  };
  document.body.append(dialog);
  dialog.showModal();
  /** @type {HTMLElement | null} */ (dialog.querySelector(name ? "[type=password]" : "[name=username]"))?.focus();
  for (const type of ["session-renewed", "session-started"]) document.addEventListener(type, close, { once: true });
}
