import { formatNumber, translations } from "../core/language.js";

export const text = translations({
  en: {
    title: "Queue", empty: "Nothing to look at", emptyHint: "Uncertain and contradictory predictions come here as products are classified.", again: "Look again",
    accept: "Accept", other: "Other category", skip: "Skip", back: "Back", zoom: "Enlarge the photo", full: "Full screen", pick: "Choose one of the five most probable categories",
    /** @param {number} n */
    decided: (n) => `${formatNumber(n)} decided now`,
    chosen: /** @param {string} label */ (label) => `Choose a category for this product. Accept sends: ${label}`,
    stored: /** @param {string} label @param {string} name */ (label, name) => `${label}: ${name}`,
    undone: "The answer was taken back.", nothingToUndo: "There is no answer to take back.", notStored: "The answer was not stored; the product is shown again",
    skipped: "Skipped: it is offered to another person.", leased: "It is yours for a few minutes; nobody else gets it meanwhile.",
    why: "Why it is here", byModality: "Models", text: "text", photo: "photo",
    reasons: /** @type {Record<string, string>} */ ({
      uncertain: "the prediction is uncertain", disagreement: "text and photo disagree", disagreeing: "text and photo disagree", suspected_label: "its label is probably wrong",
      suspect: "its label is probably wrong", new_category: "it may belong to a new category", split: "a split of its category left it undecided", undecided: "a change of the taxonomy left it undecided",
      drift: "it differs from what was learned", unlabelled: "it has no category yet", known_answer: "the prediction is uncertain", contradiction: "people disagree about it",
    }),
  },
  fr: {
    title: "File", empty: "Rien à examiner", emptyHint: "Les prédictions incertaines et contradictoires arrivent ici à mesure que des produits sont classés.", again: "Regarder de nouveau",
    accept: "Accepter", other: "Autre catégorie", skip: "Passer", back: "Retour", zoom: "Agrandir la photo", full: "Plein écran", pick: "Choisir une des cinq catégories les plus probables",
    decided: (n) => `${formatNumber(n)} décidés`,
    chosen: (label) => `Choisissez une catégorie pour ce produit. Accepter envoie : ${label}`,
    stored: (label, name) => `${label} : ${name}`,
    undone: "La réponse a été annulée.", nothingToUndo: "Il n'y a pas de réponse à annuler.", notStored: "La réponse n'a pas été enregistrée ; le produit est de nouveau affiché",
    skipped: "Passé : il est proposé à une autre personne.", leased: "Il est à vous quelques minutes ; personne d'autre ne le reçoit entre-temps.",
    why: "Pourquoi il est ici", byModality: "Modèles", text: "texte", photo: "photo",
    reasons: {
      uncertain: "la prédiction est incertaine", disagreement: "texte et photo se contredisent", disagreeing: "texte et photo se contredisent", suspected_label: "son étiquette est probablement fausse",
      suspect: "son étiquette est probablement fausse", new_category: "il relève peut-être d'une nouvelle catégorie", split: "une division de sa catégorie l'a laissé sans décision", undecided: "un changement de la taxonomie l'a laissé sans décision",
      drift: "il diffère de ce qui a été appris", unlabelled: "il n'a pas encore de catégorie", known_answer: "la prédiction est incertaine", contradiction: "des personnes se contredisent",
    },
  },
});

/** @param {string} reason */
export const reasonText = (reason) => text().reasons[reason] ?? reason;
