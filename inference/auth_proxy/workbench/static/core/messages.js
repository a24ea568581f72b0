// Texts that several pages share.

import { formatNumber, translations } from "./language.js";

export const common = translations({
  en: {
    product: "Product", title: "Title", description: "Description", photo: "Photo", text: "Text", category: "Category",
    comment: "Comment", user: "User", state: "State", created: "Created", release: "Release", confidence: "Confidence",
    predicted: "Predicted", proposed: "Proposed", actions: "Actions", name: "Name", role: "Role", code: "Code",
    refresh: "Refresh", more: "Show more", cancel: "Cancel", close: "Close", undo: "Undo", search: "Search", all: "All",
    download: "Download", next: "Next", previous: "Previous", none: "none", yes: "yes", no: "no", loading: "Loading",
    noText: "No text", noPhoto: "No photo", photoGone: "The photo was deleted", untitled: "Product without a title",
    guideline: "Guideline", noGuideline: "This category has no guideline.", reason: "Reason", since: "From", until: "To",
    /** @param {number} count */
    total: (count) => `${formatNumber(count)} in total`,
    /** @param {string} label */
    photoOf: (label) => `Photo of ${label}`,
    /** @param {string} label */
    zoom: (label) => `Enlarge the photo of ${label}`,
    roles: { user: "user", reviewer: "reviewer", admin: "admin" },
    states: {
      pending: "waits for a reviewer, or a second person", trusted: "counts: made by a reviewer", approved: "approved",
      agreed: "counts: two people agree", rejected: "rejected", superseded: "superseded: the newer answer of the same person counts", corrected: "replaced by a reviewer", withdrawn: "taken back",
    },
    shortStates: {
      pending: "Waiting", trusted: "Trusted", approved: "Approved", agreed: "Agreed", rejected: "Rejected", superseded: "Superseded", corrected: "Replaced", withdrawn: "Taken back",
    },
    decisions: { accept: "accept", review: "review" },
  },
  fr: {
    product: "Produit", title: "Titre", description: "Description", photo: "Photo", text: "Texte", category: "Catégorie",
    comment: "Commentaire", user: "Utilisateur", state: "État", created: "Créé", release: "Version", confidence: "Confiance",
    predicted: "Prédite", proposed: "Proposée", actions: "Actions", name: "Nom", role: "Rôle", code: "Code",
    refresh: "Actualiser", more: "Afficher la suite", cancel: "Annuler", close: "Fermer", undo: "Annuler la décision", search: "Rechercher", all: "Tous",
    download: "Télécharger", next: "Suivant", previous: "Précédent", none: "aucun", yes: "oui", no: "non", loading: "Chargement",
    noText: "Sans texte", noPhoto: "Sans photo", photoGone: "La photo a été supprimée", untitled: "Produit sans titre",
    guideline: "Consigne", noGuideline: "Cette catégorie n'a pas de consigne.", reason: "Raison", since: "Depuis", until: "Jusqu'au",
    total: (count) => `${formatNumber(count)} au total`,
    photoOf: (label) => `Photo de ${label}`,
    zoom: (label) => `Agrandir la photo de ${label}`,
    roles: { user: "utilisateur", reviewer: "relecteur", admin: "administrateur" },
    states: {
      pending: "attend un relecteur, ou une seconde personne", trusted: "compte : faite par un relecteur", approved: "acceptée",
      agreed: "compte : deux personnes sont d'accord", rejected: "refusée", superseded: "remplacée : la réponse plus récente de la même personne compte", corrected: "remplacée par un relecteur", withdrawn: "annulée",
    },
    shortStates: {
      pending: "En attente", trusted: "De confiance", approved: "Acceptée", agreed: "Concordante", rejected: "Refusée", superseded: "Dépassée", corrected: "Remplacée", withdrawn: "Annulée",
    },
    decisions: { accept: "accepter", review: "à vérifier" },
  },
});

/** Return the short name of a state; one of a newer version is shown as it is. @param {string} state */
export const shortState = (state) => /** @type {Record<string, string>} */ (common().shortStates)[state] ?? state;

/** Return what a state means. @param {string} state */
export const stateMeaning = (state) => /** @type {Record<string, string>} */ (common().states)[state] ?? state;

/** @param {string} role */
export const roleName = (role) => /** @type {Record<string, string>} */ (common().roles)[role] ?? role;
