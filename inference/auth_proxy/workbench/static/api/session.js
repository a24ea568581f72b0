// Who is logged in. The token lives in this module only; a page or another origin cannot read it.

import { authentication, request } from "./client.js";

/** @typedef {"user" | "reviewer" | "admin"} Role */
/** @typedef {{ name: string, role: Role }} Me */

const RANK = { user: 0, reviewer: 1, admin: 2 };

/** Other tabs are told of a login and of a logout. */
const tabs = new BroadcastChannel("workbench-session");

let token = "";
/** @type {Me | null} */
let me = null;
/** @type {{ promise: Promise<void>, resolve: () => void } | null} */
let renewal = null;

export const currentUser = () => me;

/** @param {Role} role */
export const mayAct = (role) => me !== null && RANK[me.role] >= RANK[role];

/** @param {string} type @param {Me | null} user */
function announce(type, user) {
  document.dispatchEvent(new CustomEvent(type, { detail: user }));
}

/** Log in; raise `RequestFailed` if the name or the password is wrong. @param {string} name @param {string} password */
export async function logIn(name, password) {
  const body = new URLSearchParams({ username: name, password });
  const { access_token } = await request("token", { method: "POST", body });
  useToken(access_token);
}

/** Use a token of an external issuer. @param {string} given */
export function useToken(given) {
  const claims = readClaims(given);
  const before = me;
  token = given;
  me = { name: claims.sub, role: highestRole(claims) };
  renewal?.resolve();
  renewal = null;
  announce(before?.name === me.name && before.role === me.role ? "session-renewed" : "session-started", me);
}

export function logOut() {
  token = "";
  me = null;
  tabs.postMessage("logout");
  announce("session-ended", null);
}

/** @returns {Record<string, string>} */
authentication.headers = () => (token ? { Authorization: `Bearer ${token}` } : {});
authentication.renew = () => {
  if (renewal === null) {
    let resolve = () => {};
    const promise = /** @type {Promise<void>} */ (new Promise((done) => { resolve = done; }));
    renewal = { promise, resolve };
    announce("session-expired", me);
  }
  return renewal.promise;
};

/** @param {string} given */
function readClaims(given) {
  try {
    const payload = atob(given.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(payload, (one) => one.charCodeAt(0))));
  } catch {
    return {};
  }
}

/** @param {Record<string, any>} claims @returns {Role} */
function highestRole(claims) {
  const named = [claims.role, claims.roles, claims.groups, claims.realm_access?.roles].flat();
  return /** @type {Role[]} */ (["admin", "reviewer"]).find((role) => named.includes(role)) ?? "user";
}
