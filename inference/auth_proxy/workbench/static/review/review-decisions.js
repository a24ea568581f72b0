// Decisions about corrections: shown at once, sent in the background, put back if they cannot be stored.

import { labelOfCode } from "../api/categories.js";
import { approve, correct, reject, undo } from "../api/feedback.js";
import { request } from "../api/client.js";
import { common } from "../core/messages.js";
import { notify, notifyFailure } from "../shell/notices.js";
import { productName } from "../widgets/product-text.js";
import { text } from "./messages.js";

const UNDONE = 20;

/** @typedef {{ correction: Correction, position: number, stored: Promise<unknown> }} Decision */

/**
 * @param {object} list
 * @param {(correction: Correction) => number} list.take Remove a correction from the list; return its position.
 * @param {(correction: Correction, position: number) => void} list.putBack
 */
export function reviewDecisions({ take, putBack }) {
  /** @type {Decision[]} */
  const last = [];

  /** @param {Correction} correction @param {Promise<unknown>} stored @param {() => string} message */
  function decide(correction, stored, message) {
    const decision = { correction, position: take(correction), stored };
    last.push(decision);
    if (last.length > UNDONE) last.shift();
    stored.then(() => notify(message, { kind: "good", action: { label: () => common().undo, run: () => takeBack(decision) } }), (error) => {
      forget(decision);
      putBack(correction, decision.position);
      notifyFailure(error, () => text().notStored);
    });
  }

  /** @param {Decision} decision */
  function forget(decision) {
    const place = last.indexOf(decision);
    if (place >= 0) last.splice(place, 1);
  }

  /** @param {Decision | undefined} decision */
  async function takeBack(decision) {
    if (!decision) {
      notify(() => text().nothingToUndo);
      return;
    }
    forget(decision);
    try {
      await decision.stored;
      await undo(decision.correction.feedback_id);
      putBack(decision.correction, decision.position);
      notify(() => text().undone);
    } catch (error) {
      notifyFailure(error);
    }
  }

  return {
    /** @param {Correction} one */
    approve: (one) => decide(one, approve(one.feedback_id), () => text().approved(productName(one.product))),
    /** @param {Correction} one */
    reject: (one) => decide(one, reject(one.feedback_id), () => text().rejected(productName(one.product))),
    /** @param {Correction} one @param {Code} code */
    correct: (one, code) => decide(one, correct(one.feedback_id, code), () => text().corrected(productName(one.product), labelOfCode(code))),
    undoLast: () => takeBack(last.at(-1)),
    /** Decide about several at once; return the ids that were decided. @param {string[]} ids @param {"approve" | "reject"} action @returns {Promise<string[]>} */
    async decideMany(ids, action) {
      const { items } = await request("feedback/bulk", { method: "POST", json: { items: ids.map((id) => ({ feedback_id: id, action })) } });
      const done = items.filter((/** @type {any} */ one) => one.status === undefined || one.status < 400).map((/** @type {any} */ one) => one.feedback_id);
      notify(() => text().many(done.length, ids.length - done.length), { kind: done.length === ids.length ? "good" : "bad" });
      return done;
    },
  };
}
