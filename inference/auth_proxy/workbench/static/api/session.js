// Who is logged in. The session is a cookie that scripts cannot read; requests that write carry its CSRF token.

import { RequestFailed, apiUrl, authentication, request } from "./client.js";

/** @typedef {"user" | "reviewer" | "admin"} Role */
/** @typedef {{ name: string, role: Role, csrf_token: string | null, issuer: "embedded" | "external", settings: { users: boolean, api_keys: boolean, feedback: boolean } }} Me */

const RANK = { user: 0, reviewer: 1, admin: 2 };

/** Other tabs share the cookie: each is told when the session changes. */
const tabs = new BroadcastChannel("workbench-session");

/** @type {Me | null} */
let me = null;
/** @type {{ promise: Promise<void>, resolve: () => void, reject: (error: unknown) => void } | null} */
let renewal = null;

export const currentUser = () => me;

/** @param {Role} role */
export const mayAct = (role) => me !== null && RANK[me.role] >= RANK[role];

/**
 * Read who the session belongs to. The same user continues; another one, or another role, starts anew; a session that
 * ended keeps the page and asks for a login.
 */
export async function refreshSession() {
  try {
    accept(await request("me", { isSessionCheck: true }));
  } catch (error) {
    if (!(error instanceof RequestFailed) || error.status !== 401) throw error;
    if (me !== null) authentication.renew().catch(() => {});
  }
}

/** Log in; raise `RequestFailed` if the name or the password is wrong. @param {string} name @param {string} password */
export async function logIn(name, password) {
  const body = new URLSearchParams({ username: name, password });
  accept(await request("login", { method: "POST", body, isSessionCheck: true }));
  tabs.postMessage("changed");
}

/** End the session here, in other tabs, and at an external issuer. */
export async function logOut() {
  const { issuer_logout_url: next } = await request("logout", { method: "POST", isSessionCheck: true });
  forget();
  tabs.postMessage("ended");
  if (next) location.assign(next);
}

/** Return whether users log in at an external issuer: then the login is a redirect. */
export async function isIssuerExternal() {
  const response = await fetch(apiUrl("login"), { redirect: "manual", credentials: "same-origin" }).catch(() => null);
  return response?.type === "opaqueredirect";
}

/** Return the address that begins a login and comes back to the current page. */
export const externalLoginUrl = () => apiUrl("login", { next: `/${location.hash}` });

/** @param {Me} found */
function accept(found) {
  const before = me;
  me = found;
  const isSame = before?.name === found.name && before.role === found.role;
  const waiting = renewal;
  renewal = null;
  if (before === null || isSame) waiting?.resolve();
  else waiting?.reject(new RequestFailed(401, {}, "me"));
  if (before === null || !isSame) announce("session-started", before);
  else if (waiting) announce("session-renewed", before);
}

function forget() {
  me = null;
  announce("session-ended", null);
}

/** @param {string} type @param {Me | null} before Who was logged in until then. */
function announce(type, before) {
  document.dispatchEvent(new CustomEvent(type, { detail: before }));
}

authentication.headers = (method) =>
  /** @type {Record<string, string>} */ (method === "GET" || !me?.csrf_token ? {} : { "X-CSRF-Token": me.csrf_token });
authentication.refresh = refreshSession;
authentication.renew = () => {
  if (renewal === null) {
    renewal = /** @type {NonNullable<typeof renewal>} */ (Promise.withResolvers());
    announce("session-expired", me);
  }
  return renewal.promise;
};

tabs.addEventListener("message", ({ data }) => {
  if (data === "changed") refreshSession().catch(() => {});
  else if (me !== null) forget();
});
addEventListener("focus", () => { if (renewal) refreshSession().catch(() => {}); });
