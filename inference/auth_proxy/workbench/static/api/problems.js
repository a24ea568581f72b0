// What an error means, in the language of the user; the detail of the gateway and the request id stand beside it.

import { translations } from "../core/language.js";
import { RequestFailed } from "./client.js";

const texts = translations({
  en: {
    offline: "The gateway does not respond. Check the connection; what you typed is kept.",
    missing: "This gateway does not offer this function. It is of an earlier version, or the service behind it is not configured.",
    unexpected: "This page has failed. Reload it; what you typed is kept.",
    status: /** @type {Record<number, string>} */ ({
      400: "The request was not understood.",
      401: "You are not logged in.",
      403: "Your role does not allow this any more. Ask an administrator.",
      404: "It does not exist, or was deleted meanwhile.",
      409: "Somebody else changed this meanwhile. Load it again.",
      413: "The file is too large.",
      415: "This kind of file is not accepted.",
      422: "A value is not accepted.",
      429: "Too many requests. Try again in a moment.",
      500: "The gateway has failed. Tell an administrator the request id.",
      502: "A service behind the gateway does not respond. Try again in a moment.",
      503: "The service is not available. Try again in a moment.",
      504: "The service did not respond in time. Try again.",
    }),
    kind: /** @type {Record<string, string>} */ ({
      "unknown-prediction": "The prediction is not stored yet, or no longer. Try again in a moment.",
      "unknown-feedback": "This correction does not exist any more.",
      "unknown-category": "This category is not in the taxonomy in service.",
      "invalid-image": "The photo cannot be read.",
      "invalid-product": "The product has neither text nor a photo.",
      "retrain-active": "A training run is already active.",
      "index-unavailable": "The list of corrections is being built. Try again in a moment.",
      "store-unavailable": "The object store is not available. Try again in a moment.",
      "not-durable": "The correction could not be stored. Try again in a moment.",
      "model-unavailable": "The models are not available. Try again in a moment.",
      "release-not-loaded": "The release of this prediction is no longer in service.",
      "taxonomy-conflict": "The taxonomy was changed meanwhile. Start from its newest version.",
      "invalid-taxonomy-change": "The change file is not valid.",
      "quota-exceeded": "You have reached the number of corrections of one day.",
      "user-exists": "A user of this name already exists.",
      "key-exists": "An API key of this name already exists.",
    }),
  },
  fr: {
    offline: "La passerelle ne répond pas. Vérifiez la connexion ; votre saisie est conservée.",
    missing: "Cette passerelle n'offre pas cette fonction. Elle est d'une version antérieure, ou le service n'est pas configuré.",
    unexpected: "Cette page a échoué. Rechargez-la ; votre saisie est conservée.",
    status: {
      400: "La requête n'a pas été comprise.",
      401: "Vous n'êtes pas connecté.",
      403: "Votre rôle ne le permet plus. Adressez-vous à un administrateur.",
      404: "Cet élément n'existe pas, ou a été supprimé entre-temps.",
      409: "Une autre personne l'a modifié entre-temps. Rechargez-le.",
      413: "Le fichier est trop volumineux.",
      415: "Ce type de fichier n'est pas accepté.",
      422: "Une valeur n'est pas acceptée.",
      429: "Trop de requêtes. Réessayez dans un instant.",
      500: "La passerelle a échoué. Donnez l'identifiant de la requête à un administrateur.",
      502: "Un service derrière la passerelle ne répond pas. Réessayez dans un instant.",
      503: "Le service n'est pas disponible. Réessayez dans un instant.",
      504: "Le service n'a pas répondu à temps. Réessayez.",
    },
    kind: {
      "unknown-prediction": "La prédiction n'est pas encore enregistrée, ou ne l'est plus. Réessayez dans un instant.",
      "unknown-feedback": "Cette correction n'existe plus.",
      "unknown-category": "Cette catégorie n'est pas dans la taxonomie en service.",
      "invalid-image": "La photo est illisible.",
      "invalid-product": "Le produit n'a ni texte ni photo.",
      "retrain-active": "Un entraînement est déjà en cours.",
      "index-unavailable": "La liste des corrections est en construction. Réessayez dans un instant.",
      "store-unavailable": "Le stockage n'est pas disponible. Réessayez dans un instant.",
      "not-durable": "La correction n'a pas pu être enregistrée. Réessayez dans un instant.",
      "model-unavailable": "Les modèles ne sont pas disponibles. Réessayez dans un instant.",
      "release-not-loaded": "La version de cette prédiction n'est plus en service.",
      "taxonomy-conflict": "La taxonomie a été modifiée entre-temps. Partez de sa dernière version.",
      "invalid-taxonomy-change": "Le fichier de modifications n'est pas valide.",
      "quota-exceeded": "Vous avez atteint le nombre de corrections d'une journée.",
      "user-exists": "Un utilisateur de ce nom existe déjà.",
      "key-exists": "Une clé d'API de ce nom existe déjà.",
    },
  },
});

/** Return the sentence that explains an error to a user. @param {unknown} error */
export function explain(error) {
  if (!(error instanceof RequestFailed)) return texts().unexpected;
  if (error.status === 0) return texts().offline;
  if (error.isMissingRoute) return texts().missing;
  return texts().kind[error.kind] ?? texts().status[error.status] ?? error.message;
}

/** Return what the gateway says about an error: its detail, and the request id. @param {unknown} error */
export function technicalDetail(error) {
  if (!(error instanceof RequestFailed)) return error instanceof Error ? error.message : String(error);
  return [error.problem.detail, error.requestId].filter(Boolean).join(" · ");
}
