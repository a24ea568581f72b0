// Requests to the gateway. A request that is refused because the session ended waits until the user has logged in again
// and is then sent once more, so that nothing typed is lost.

/**
 * @typedef {object} RequestOptions
 * @property {string} [method]
 * @property {Record<string, string | number | boolean | null | undefined>} [query] Empty values are left out.
 * @property {unknown} [json] Body as JSON.
 * @property {BodyInit} [body] Any other body.
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {boolean} [isSessionCheck] Whether a refusal (401) is the answer, and no reason to log in again.
 */

/** An answer of the gateway that is not a success, or none (status 0). */
export class RequestFailed extends Error {
  /** @param {number} status @param {Partial<Problem>} problem @param {string} path */
  constructor(status, problem, path) {
    super(problem.detail || `HTTP ${status}`);
    this.status = status;
    this.path = path;
    this.problem = problem;
    this.kind = (problem.type ?? "").split(":").at(-1) ?? "";
    this.requestId = problem.request_id ?? "";
  }

  /** Whether this gateway has no such route: it is of an earlier version, or a service is not configured. */
  get isMissingRoute() {
    return (this.status === 404 && this.message.startsWith("no route ")) || this.status === 405;
  }
}

/**
 * How requests are authenticated; the session sets it.
 *
 * @typedef {object} Authentication
 * @property {(method: string) => Record<string, string>} headers
 * @property {() => Promise<void>} renew Wait until the user has logged in again.
 * @property {() => Promise<void>} refresh Read the session again, after another tab has changed it.
 */
/** @type {Authentication} */
export const authentication = { headers: () => ({}), renew: () => Promise.resolve(), refresh: () => Promise.resolve() };

/** Return the address of a route of the API, below the path of this page. @param {string} path @param {RequestOptions["query"]} [query] */
export function apiUrl(path, query = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== null && value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

/**
 * Send a request; raise `RequestFailed` unless it succeeds.
 *
 * @param {string} path Relative, without a leading slash.
 * @param {RequestOptions} [options]
 * @returns {Promise<Response>}
 */
export async function send(path, options = {}) {
  const response = await attempt(path, options);
  if (response.ok) return response;
  const failed = await failure(response, path);
  if (options.isSessionCheck || (failed.status !== 401 && failed.kind !== "csrf-token")) throw failed;
  await (failed.status === 401 ? authentication.renew() : authentication.refresh());
  const again = await attempt(path, options);
  if (again.ok) return again;
  throw await failure(again, path);
}

/** Send a request and return the JSON of the answer. @param {string} path @param {RequestOptions} [options] @returns {Promise<any>} */
export async function request(path, options) {
  const response = await send(path, options);
  return response.status === 204 ? null : response.json();
}

/** @param {string} path @param {RequestOptions} options */
async function attempt(path, { method = "GET", query, json, body, headers, signal }) {
  /** @type {Record<string, string>} */
  const type = json === undefined ? {} : { "Content-Type": "application/json" };
  try {
    return await fetch(apiUrl(path, query), {
      method, signal, body: json === undefined ? body : JSON.stringify(json), credentials: "same-origin",
      headers: { Accept: "application/json", ...type, ...headers, ...authentication.headers(method) },
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new RequestFailed(0, {}, path);
  }
}

/** @param {Response} response @param {string} path */
async function failure(response, path) {
  const problem = await response.json().catch(() => ({}));
  return new RequestFailed(response.status, problem, path);
}
