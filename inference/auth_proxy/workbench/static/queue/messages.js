import { formatNumber, translations } from "../core/language.js";

export const text = translations({
  en: {
    title: "Queue", empty: "Nothing to look at", emptyHint: "Uncertain and contradictory predictions come here as products are classified.", again: "Look again",
    accept: "Accept", other: "Other category", skip: "Skip", back: "Back", zoom: "Enlarge the photo", full: "Full screen", pick: "Choose one of the five most probable categories",
    decided: /** @param {number} n */ (n) => `${formatNumber(n)} decided now`,
    stored: /** @param {string} label @param {string} name */ (label, name) => `${label}: ${name}`,
    undone: "The answer was taken back.", nothingToUndo: "There is no answer to take back.", notStored: "The answer was not stored; the product is shown again",
    skipped: "Skipped: it is offered to another person.",
    why: "Why it is here",
    label: "Category until now", waiting: /** @param {number} n */ (n) => `${formatNumber(n)} waiting`,
    reasons: /** @type {Record<string, string>} */ ({
      uncertain: "the prediction is uncertain", models_disagree: "text and photo disagree", users_disagree: "people disagree about it", split: "a split of its category left it undecided",
      suspected_label: "its label is probably wrong", new_category: "it may belong to a new category", drifted: "it differs from what was learned",
    }),
  },
  fr: {
    title: "File", empty: "Rien à examiner", emptyHint: "Les prédictions incertaines et contradictoires arrivent ici à mesure que des produits sont classés.", again: "Regarder de nouveau",
    accept: "Accepter", other: "Autre catégorie", skip: "Passer", back: "Retour", zoom: "Agrandir la photo", full: "Plein écran", pick: "Choisir une des cinq catégories les plus probables",
    decided: (n) => `${formatNumber(n)} décidés`,
    stored: (label, name) => `${label} : ${name}`,
    undone: "La réponse a été annulée.", nothingToUndo: "Il n'y a pas de réponse à annuler.", notStored: "La réponse n'a pas été enregistrée ; le produit est de nouveau affiché",
    skipped: "Passé : il est proposé à une autre personne.",
    why: "Pourquoi il est ici",
    label: "Catégorie jusqu'ici", waiting: (n) => `${formatNumber(n)} en attente`,
    reasons: {
      uncertain: "la prédiction est incertaine", models_disagree: "texte et photo se contredisent", users_disagree: "des personnes se contredisent", split: "une division de sa catégorie l'a laissé sans décision",
      suspected_label: "son étiquette est probablement fausse", new_category: "il relève peut-être d'une nouvelle catégorie", drifted: "il diffère de ce qui a été appris",
    },
  },
});

/** @param {string} reason */
export const reasonText = (reason) => text().reasons[reason] ?? reason;
