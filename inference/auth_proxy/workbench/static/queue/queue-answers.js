// Answers about products of the queue: the next product is shown at once, the answer is stored in the background.

import { labelOfCode } from "../api/categories.js";
import { request } from "../api/client.js";
import { sendItemCategory, undo } from "../api/feedback.js";
import { common } from "../core/messages.js";
import { notify, notifyFailure } from "../shell/notices.js";
import { productName } from "../widgets/product-text.js";
import { text } from "./messages.js";

const UNDONE = 20;

/** @typedef {{ item: QueueItem, stored: Promise<FeedbackReceipt> }} Answer */

/** @param {(item: QueueItem) => void} showAgain @param {(change: number) => void} counted */
export function queueAnswers(showAgain, counted) {
  /** @type {Answer[]} */
  const last = [];

  /** @param {Answer} answer */
  function forget(answer) {
    const place = last.indexOf(answer);
    if (place >= 0) last.splice(place, 1);
  }

  /** @param {Answer | undefined} answer */
  async function takeBack(answer) {
    if (!answer) {
      notify(() => text().nothingToUndo);
      return;
    }
    forget(answer);
    try {
      await undo((await answer.stored).feedback_id);
      counted(-1);
      showAgain(answer.item);
      notify(() => text().undone);
    } catch (error) {
      notifyFailure(error);
    }
  }

  return {
    /** @param {QueueItem} item @param {Code} code */
    give(item, code) {
      const answer = { item, stored: sendItemCategory(item.item_id, code) };
      last.push(answer);
      if (last.length > UNDONE) last.shift();
      counted(1);
      answer.stored.then((receipt) => notify(() => text().stored(labelOfCode(receipt.code, receipt.label), productName(item.product)),
        { kind: "good", action: { label: () => common().undo, run: () => takeBack(answer) } }), (error) => {
        forget(answer);
        counted(-1);
        showAgain(item);
        notifyFailure(error, () => text().notStored);
      });
    },
    undoLast: () => takeBack(last.at(-1)),
    /** @param {QueueItem} item */
    skip(item) {
      request(`queue/${item.item_id}/skip`, { method: "POST" }).then(() => notify(() => text().skipped), notifyFailure);
    },
  };
}
