import { formatNumber, translations } from "../core/language.js";

export const text = translations({
  en: {
    title: "My work", corrections: "My answers", predictions: "My predictions", answer: "Answer", became: "What became of it", when: "When", instead: "instead of",
    noCorrections: "No answer yet", noCorrectionsHint: "Accept or correct a category on the page Classify or Queue.",
    noPredictions: "No prediction yet", noPredictionsHint: "Products that you classify are listed here.", counts: "counts", confirmation: "confirmation",
    undone: "The answer was taken back.", takeBack: "Take back", takeBackOf: /** @param {string} name */ (name) => `Take back the answer about ${name}`,
    total: /** @param {number} n */ (n) => `${formatNumber(n)} answers`, search: "Words of the product", decision: "Decision", given: "Answered",
  },
  fr: {
    title: "Mon travail", corrections: "Mes réponses", predictions: "Mes prédictions", answer: "Réponse", became: "Ce qu'elle est devenue", when: "Quand", instead: "au lieu de",
    noCorrections: "Aucune réponse", noCorrectionsHint: "Acceptez ou corrigez une catégorie dans la page Classer ou File.",
    noPredictions: "Aucune prédiction", noPredictionsHint: "Les produits que vous classez sont listés ici.", counts: "compte", confirmation: "confirmation",
    undone: "La réponse a été annulée.", takeBack: "Annuler", takeBackOf: (name) => `Annuler la réponse sur ${name}`,
    total: (n) => `${formatNumber(n)} réponses`, search: "Mots du produit", decision: "Décision", given: "Répondu",
  },
});
