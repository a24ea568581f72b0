import { formatPercent, translations } from "../core/language.js";

export const text = translations({
  en: {
    title: "Classify a product", photoField: "Photo (JPEG, PNG, WebP or AVIF)", submit: "Classify", clear: "New product", choosePhoto: "Drop, paste or choose a photo",
    removePhoto: "Remove the photo", explain: "Explain the answer", degraded: "One of the two models did not respond.",
    nothing: "Nothing classified yet", hint: "Give a title, a description or a photo. Ctrl+Enter classifies from anywhere.",
    accept: "Accept", correct: "Choose another category", send: "Send the correction", byModality: "Answer of each model",
    noAnswer: "no answer", why: "Why", words: "Words that speak for (green) and against (pink) the category", regions: "Regions of the photo that the answer depends on",
    acceptNote: "Answers as sure as this are right often enough to be accepted.", reviewNote: "Answers as unsure as this should be checked by a person.",
    /** @param {string} label @param {number} share */
    acceptedAt: (label, share) => `Sure enough at the level of ${label} (${formatPercent(share)}).`,
    /** @param {string} label */
    confirmed: (label) => `Confirmed: ${label}. A confirmation counts as an answer of yours.`,
    /** @param {string} label @param {string} state */
    corrected: (label, state) => `Corrected to ${label}. State: ${state}.`,
    replaced: "It replaces your earlier answer about this product, which is superseded: the newest counts.",
    undone: "The answer was taken back.", noExplanation: "There is no explanation", similar: "Similar past corrections", noSimilar: "None found.",
    pending: "The prediction is still being stored; accepting it may take a moment.", zoom: "Enlarge the photo", pickKey: "Choose one of the five most probable categories",
    whole: "The text model does not explain by words.", notAnImage: "This file is not a photo",
  },
  fr: {
    title: "Classer un produit", photoField: "Photo (JPEG, PNG, WebP ou AVIF)", submit: "Classer", clear: "Nouveau produit", choosePhoto: "Déposez, collez ou choisissez une photo",
    removePhoto: "Retirer la photo", explain: "Expliquer la réponse", degraded: "Un des deux modèles n'a pas répondu.",
    nothing: "Rien n'est encore classé", hint: "Donnez un titre, une description ou une photo. Ctrl+Entrée classe depuis n'importe où.",
    accept: "Accepter", correct: "Choisir une autre catégorie", send: "Envoyer la correction", byModality: "Réponse de chaque modèle",
    noAnswer: "pas de réponse", why: "Pourquoi", words: "Mots en faveur (vert) et en défaveur (rose) de la catégorie", regions: "Régions de la photo dont dépend la réponse",
    acceptNote: "Des réponses aussi sûres sont assez souvent justes pour être acceptées.", reviewNote: "Des réponses aussi peu sûres doivent être vérifiées par une personne.",
    acceptedAt: (label, share) => `Assez sûr au niveau de ${label} (${formatPercent(share)}).`,
    confirmed: (label) => `Confirmé : ${label}. Une confirmation compte comme une réponse de votre part.`,
    corrected: (label, state) => `Corrigé en ${label}. État : ${state}.`,
    replaced: "Elle remplace votre réponse précédente sur ce produit : la plus récente compte.",
    undone: "La réponse a été annulée.", noExplanation: "Il n'y a pas d'explication", similar: "Corrections passées semblables", noSimilar: "Aucune trouvée.",
    pending: "La prédiction est en cours d'enregistrement ; l'accepter peut prendre un instant.", zoom: "Agrandir la photo", pickKey: "Choisir une des cinq catégories les plus probables",
    whole: "Le modèle de texte n'explique pas par les mots.", notAnImage: "Ce fichier n'est pas une photo",
  },
});
