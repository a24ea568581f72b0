// The products of the queue: fetched ahead, so that the next one is there before it is asked for.

import { request } from "../api/client.js";
import { prefetchPhoto } from "../api/photos.js";

/** The most that one user may lease. */
const FETCHED = 20;
const LOW = 8;
const PHOTOS_AHEAD = 4;

/** @param {AbortSignal} signal */
export function queueSource(signal) {
  /** @type {QueueItem[]} */
  let waiting = [];
  /** Products that were shown: the gateway leases them to this user, and may return them again. @type {Set<string>} */
  const seen = new Set();
  let left = 0;
  /** @type {Promise<void> | null} */
  let fetching = null;

  function fetchMore() {
    fetching ??= request("queue", { query: { limit: FETCHED }, signal }).then(({ items, waiting: count }) => {
      left = count;
      waiting.push(...items.filter((/** @type {QueueItem} */ one) => !seen.has(one.item_id)));
      items.forEach((/** @type {QueueItem} */ one) => seen.add(one.item_id));
      prefetchPhotos();
    }).finally(() => { fetching = null; });
    return fetching;
  }

  function prefetchPhotos() {
    waiting.slice(0, PHOTOS_AHEAD).forEach(({ product }) => prefetchPhoto(product.image_sha256));
  }

  return {
    /** Return the next product, or null if there is none now. @returns {Promise<QueueItem | null> | QueueItem | null} */
    next() {
      if (waiting.length === 0) return fetchMore().then(() => waiting.shift() ?? null);
      const item = waiting.shift() ?? null;
      if (waiting.length < LOW) fetchMore().catch(() => {});
      prefetchPhotos();
      return item;
    },
    /** Show a product again before the others. @param {QueueItem} item */
    putBack(item) {
      waiting.unshift(item);
    },
    /** Return how many products wait, those of other users included. */
    left: () => left,
    /** Forget what was shown, so that skipped products may come again. */
    restart() {
      seen.clear();
      waiting = [];
    },
  };
}
