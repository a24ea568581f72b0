// Corrections and decisions about them.

import { request } from "./client.js";

/**
 * Send the category of a prediction. The key makes a repeated request the same correction.
 *
 * @param {string} predictionId
 * @param {Code} code
 * @param {string} [comment]
 * @returns {Promise<FeedbackReceipt>}
 */
export const sendCategory = (predictionId, code, comment = "") => post({ prediction_id: predictionId, code, ...(comment ? { comment } : {}) });

/** Send the category of a product of the queue. @param {string} itemId @param {Code} code @returns {Promise<FeedbackReceipt>} */
export const sendItemCategory = (itemId, code) => post({ item_id: itemId, code });

/** @param {Record<string, unknown>} json */
function post(json) {
  const key = crypto.randomUUID ? crypto.randomUUID() : `${JSON.stringify(json).slice(0, 200)} ${Date.now()}`;
  return request("feedback", { method: "POST", json, headers: { "Idempotency-Key": key } });
}

/** @param {Record<string, string | number | null | undefined>} query @param {AbortSignal} [signal] @returns {Promise<CorrectionPage>} */
export const listCorrections = (query, signal) => request("feedback", { query, signal });

/** @param {string} id @returns {Promise<Correction>} */
export const approve = (id) => request(`feedback/${id}/approve`, { method: "POST", json: {} });

/** @param {string} id @returns {Promise<Correction>} */
export const reject = (id) => request(`feedback/${id}/reject`, { method: "POST", json: {} });

/** Decide for another category. @param {string} id @param {Code} code @returns {Promise<Correction>} */
export const correct = (id, code) => request(`feedback/${id}/correct`, { method: "POST", json: { code } });

/** Take a correction or a decision back. @param {string} id @returns {Promise<unknown>} */
export const undo = (id) => request(`feedback/${id}/undo`, { method: "POST" });
