"use strict";

const TRANSLATIONS = {
  fr: {
    skip: "Aller au contenu", predict: "Classer", review: "Corrections", retrain: "Entraînement", logout: "Se déconnecter", docs: "API",
    login: "Connexion", username: "Nom", password: "Mot de passe", enter: "Se connecter", external: "Jeton d'un autre fournisseur d'identité",
    token: "Jeton", predictTitle: "Classer un produit", designation: "Titre", description: "Description", image: "Photo (JPEG, PNG, WebP ou AVIF)",
    submitProduct: "Classer", degraded: "Un des deux modèles n'a pas répondu.", modalities: "Prédiction de chaque modèle", text: "Texte", photo: "Photo",
    none: "aucune prédiction", release: "Version", correct: "Corriger", rightCategory: "Bonne catégorie", comment: "Commentaire", send: "Envoyer",
    thanks: "Merci, la correction est enregistrée.", replaced: "Merci, cette correction remplace la précédente du même produit.", known: "Cette correction était déjà enregistrée.", reviewTitle: "Corrections", state: "État",
    refresh: "Actualiser", nothing: "Aucune correction.", more: "Suite", approve: "Accepter", reject: "Refuser", by: "par", instead: "au lieu de",
    retrainTitle: "Entraînement", start: "Lancer un entraînement", started: "Entraînement demandé :", progress: "Nouvelles corrections",
    all: "tous", pending: "en attente", trusted: "de confiance", approved: "acceptée", agreed: "concordante", rejected: "refusée",
    lost: "La session a expiré ; reconnectez-vous.", away: "La passerelle ne répond pas.", pendingRecord: "La prédiction n'est pas encore enregistrée ; attendez un instant avant de la corriger.",
    wrong: "Le nom ou le mot de passe est faux.", tooMany: "Trop de requêtes ; réessayez dans un instant.", busy: "Le service n'est pas disponible ; réessayez dans un instant.",
    waiting: "en attente", running: "en cours", succeeded: "terminé", failed: "échoué", cause: "Cause", manual: "demande d'un administrateur", threshold: "assez de corrections",
    requested_by: "Demandé par", corrections: "Corrections", created: "Demandé", finished: "Terminé", reason: "Raison", promoted: "Promu", notPromoted: "Non promu",
  },
  en: {
    skip: "Skip to content", predict: "Classify", review: "Corrections", retrain: "Training", logout: "Log out", docs: "API",
    login: "Log in", username: "Name", password: "Password", enter: "Log in", external: "Token of another identity provider",
    token: "Token", predictTitle: "Classify a product", designation: "Title", description: "Description", image: "Photo (JPEG, PNG, WebP or AVIF)",
    submitProduct: "Classify", degraded: "One of the two models did not respond.", modalities: "Prediction of each model", text: "Text", photo: "Photo",
    none: "no prediction", release: "Version", correct: "Correct", rightCategory: "Right category", comment: "Comment", send: "Send",
    thanks: "Thank you, the correction is stored.", replaced: "Thank you, this correction replaces your earlier one of the same product.", known: "This correction was already stored.", reviewTitle: "Corrections", state: "State",
    refresh: "Refresh", nothing: "No corrections.", more: "More", approve: "Approve", reject: "Reject", by: "by", instead: "instead of",
    retrainTitle: "Training", start: "Start a training run", started: "Training run requested:", progress: "New corrections",
    all: "all", pending: "pending", trusted: "trusted", approved: "approved", agreed: "agreed", rejected: "rejected",
    lost: "The session has expired; log in again.", away: "The gateway does not respond.", pendingRecord: "The prediction is not stored yet; wait a moment before you correct it.",
    wrong: "The name or the password is wrong.", tooMany: "Too many requests; try again in a moment.", busy: "The service is not available; try again in a moment.",
    waiting: "waiting", running: "running", succeeded: "done", failed: "failed", cause: "Cause", manual: "requested by an admin", threshold: "enough corrections",
    requested_by: "Requested by", corrections: "Corrections", created: "Requested", finished: "Finished", reason: "Reason", promoted: "Promoted", notPromoted: "Not promoted",
  },
};
const STATES = ["pending", "trusted", "approved", "agreed", "rejected"];
const RANK = { user: 0, reviewer: 1, admin: 2 };

// The token lives in this variable only: a reload ends the session, and no other page can read it.
let token = "";
let language = (navigator.language || "fr").startsWith("fr") ? "fr" : "en";
let categories = [];
let prediction = null;
let attempt = "";
let cursor = null;

const byId = (id) => document.getElementById(id);
const translated = (key) => TRANSLATIONS[language][key] || key;

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function showMessage(text, isError = false, details = "") {
  const message = byId("message");
  message.replaceChildren(text, ...(details ? [element("span", details, { class: "fine" })] : []));
  message.hidden = !text;
  message.classList.toggle("bad", isError);
  if (text) message.scrollIntoView({ block: "nearest" });
}

class RequestFailed extends Error {
  constructor(status, problem) {
    super(problem.detail || `HTTP ${status}`);
    this.status = status;
    this.requestId = problem.request_id || "";
  }
}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let reply;
  try {
    reply = await fetch(path, { ...options, headers });
  } catch {
    throw new RequestFailed(0, { detail: translated("away") });
  }
  const body = await reply.json().catch(() => ({}));
  if (!reply.ok) {
    if (reply.status === 401 && token) {
      leave();
      throw new RequestFailed(401, { detail: translated("lost") });
    }
    throw new RequestFailed(reply.status, body);
  }
  return { body, reply };
}

const asJson = (body, headers = {}) => ({
  method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers },
});

// Runs the submit handler of a form, one at a time, and shows its errors.
function onSubmit(id, handler) {
  byId(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const buttons = form.querySelectorAll("button");
    buttons.forEach((button) => { button.disabled = true; });
    showMessage("");
    try {
      await handler(form);
    } catch (error) {
      showError(error);
    } finally {
      buttons.forEach((button) => { button.disabled = false; });
    }
  });
}

// Shows an error in the language of the user, with the detail of the gateway and the request id in small print.
function showError(error) {
  if (!(error instanceof RequestFailed)) throw error;
  const known = { 401: token ? "" : translated("wrong"), 429: translated("tooMany"), 502: translated("busy"), 503: translated("busy"), 504: translated("busy") };
  const text = (error.requestId && known[error.status]) || error.message;
  const details = [text === error.message ? "" : error.message, error.requestId].filter(Boolean).join(", ");
  showMessage(text, true, details);
}

function claims() {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

async function enter(given) {
  token = given;
  categories = (await call("/categories")).body.categories;
  const { sub, role } = claims();
  byId("who").textContent = sub || "";
  for (const tab of document.querySelectorAll("#tabs [data-role]")) {
    // Hides what the role may not use; the gateway authorizes. A token of another issuer shows all.
    tab.hidden = role in RANK && RANK[role] < RANK[tab.dataset.role];
  }
  byId("tabs").hidden = false;
  byId("logout").hidden = false;
  fillChoices();
  show("predict");
}

function leave() {
  token = "";
  prediction = null;
  byId("tabs").hidden = true;
  byId("logout").hidden = true;
  byId("who").textContent = "";
  byId("password").value = "";
  byId("result").hidden = true;
  show("login");
}

function show(view) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== view;
  for (const tab of document.querySelectorAll("#tabs button")) {
    if (tab.dataset.view === view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  byId("main").focus();
}

function translate() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = translated(node.dataset.t);
  const button = byId("language");
  button.textContent = language === "fr" ? "English" : "Français";
  button.lang = language === "fr" ? "en" : "fr";
  fillChoices();
  if (prediction) drawPrediction(prediction);
}

function label(code) {
  const found = categories.find((category) => String(category.code) === String(code));
  return found ? found.labels[language] || Object.values(found.labels)[0] || String(code) : String(code);
}

function fillChoices() {
  const chosen = byId("code").value;
  byId("code").replaceChildren(
    element("option", "—", { value: "" }),
    ...categories.map((category) => element("option", `${label(category.code)} (${category.code})`, { value: category.code })),
  );
  byId("code").value = chosen;
  const state = byId("state").value;
  byId("state").replaceChildren(
    element("option", translated("all"), { value: "" }),
    ...STATES.map((one) => element("option", translated(one), { value: one })),
  );
  byId("state").value = state;
}

const when = (time) => (time ? new Date(time).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" }) : "");
const percent = (share) => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 }).format(share);

function drawPrediction(shown) {
  byId("category").textContent = `${label(shown.category.code)} (${percent(shown.confidence)})`;
  byId("degraded").hidden = !shown.degraded;
  byId("top").replaceChildren(...shown.top.map((candidate) => {
    const row = element("li", "");
    const name = `${label(candidate.code)} (${candidate.code})`;
    row.append(
      element("span", name), element("span", percent(candidate.probability)),
      element("meter", "", { min: 0, max: 1, value: candidate.probability, "aria-label": name }),
    );
    return row;
  }));
  const described = (one) => (one ? `${label(one.code)} ${percent(one.probability)}` : translated("none"));
  byId("modalities").replaceChildren(
    element("dt", translated("text")), element("dd", described(shown.modalities.text)),
    element("dt", translated("photo")), element("dd", described(shown.modalities.image)),
  );
  byId("release").textContent = shown.release;
  byId("result").hidden = false;
}

function correctionCard(item) {
  const card = element("li", "");
  const instead = item.predicted ? ` ${translated("instead")} ${label(item.predicted)}` : "";
  card.append(
    element("p", `${label(item.code)} (${item.code})${instead}`),
    element("p", `${translated(item.state)}, ${translated("by")} ${item.user}, ${when(item.created)}`),
  );
  if (item.product && item.product.designation) card.append(element("p", item.product.designation));
  if (item.comment) card.append(element("p", item.comment));
  if (item.state === "pending") {
    for (const decision of ["approve", "reject"]) {
      const button = element("button", translated(decision), { type: "button", class: decision === "approve" ? "" : "quiet" });
      button.addEventListener("click", async () => {
        showMessage("");
        try {
          await call(`/feedback/${encodeURIComponent(item.feedback_id)}/${decision}`, asJson({}));
          await listCorrections(true);
        } catch (error) {
          showError(error);
        }
      });
      card.append(button, " ");
    }
  }
  return card;
}

async function listCorrections(again) {
  if (again) cursor = null;
  const query = new URLSearchParams({ limit: "20" });
  if (byId("state").value) query.set("state", byId("state").value);
  if (cursor) query.set("cursor", cursor);
  const { body } = await call(`/feedback?${query}`);
  const cards = (body.items || []).map(correctionCard);
  if (again) byId("corrections").replaceChildren(...cards);
  else byId("corrections").append(...cards);
  cursor = body.next_cursor || null;
  byId("more").hidden = !cursor;
  byId("review-empty").hidden = byId("corrections").children.length > 0;
}

async function listRuns() {
  const { body } = await call("/retrain");
  const progress = body.progress;
  byId("progress").textContent = progress ? `${translated("progress")}: ${progress.corrections} / ${progress.needed}` : "";
  byId("runs").replaceChildren(...(body.items || []).map(runCard));
}

function runCard(run) {
  const card = element("li", "");
  card.append(element("p", translated(run.state)));
  const facts = {
    cause: translated(run.cause), requested_by: run.requested_by, corrections: run.corrections,
    created: when(run.created), finished: when(run.finished), reason: run.reason,
  };
  const { verdict } = run;
  if (verdict) facts[verdict.promoted ? "promoted" : "notPromoted"] = [verdict.release, ...verdict.reasons].filter(Boolean).join("; ");
  const list = element("dl", "");
  for (const [name, value] of Object.entries(facts)) {
    if (value === null || value === undefined || value === "") continue;
    list.append(element("dt", translated(name)), element("dd", String(value)));
  }
  card.append(list, element("p", run.run_id, { class: "fine" }));
  return card;
}

onSubmit("login-form", async (form) => {
  const { body } = await call("/token", { method: "POST", body: new URLSearchParams(new FormData(form)) });
  byId("password").value = "";
  await enter(body.access_token);
});

onSubmit("token-form", async () => {
  const given = byId("token").value.trim();
  byId("token").value = "";
  await enter(given);
});

onSubmit("predict-form", async (form) => {
  const data = new FormData(form);
  if (!byId("image").files.length) data.delete("image");
  const { body, reply } = await call("/predict", { method: "POST", body: data });
  prediction = body;
  attempt = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2) + Date.now();
  byId("feedback-form").reset();
  drawPrediction(body);
  byId("category").scrollIntoView({ block: "nearest" });
  if (reply.headers.get("Prediction-Record") !== "stored") showMessage(translated("pendingRecord"));
});

onSubmit("feedback-form", async () => {
  const correction = { prediction_id: prediction.prediction_id, code: byId("code").value };
  if (byId("comment").value) correction.comment = byId("comment").value;
  const key = `${attempt}-${correction.code}-${[...(correction.comment || "")].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 1e9, 7)}`;
  const { body, reply } = await call("/feedback", asJson(correction, { "Idempotency-Key": key }));
  showMessage(translated(reply.status === 200 ? "known" : body.replaces ? "replaced" : "thanks"));
});

onSubmit("review-form", () => listCorrections(true));
onSubmit("retrain-form", async () => {
  const { body } = await call("/retrain", { method: "POST" });
  await listRuns();
  showMessage(`${translated("started")} ${body.run_id}`);
});

byId("more").addEventListener("click", () => listCorrections(false).catch(showError));
byId("runs-refresh").addEventListener("click", () => { showMessage(""); listRuns().catch(showError); });
byId("logout").addEventListener("click", () => { showMessage(""); leave(); });
byId("language").addEventListener("click", () => { language = language === "fr" ? "en" : "fr"; translate(); });
byId("image").addEventListener("change", () => {
  const preview = byId("preview");
  const [file] = byId("image").files;
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.hidden = !file;
  if (file) preview.src = URL.createObjectURL(file);
  else preview.removeAttribute("src");
});
for (const tab of document.querySelectorAll("#tabs button")) {
  tab.addEventListener("click", () => {
    showMessage("");
    show(tab.dataset.view);
    if (tab.dataset.view === "review") listCorrections(true).catch(showError);
    if (tab.dataset.view === "retrain") listRuns().catch(showError);
  });
}
translate();
