"use strict";

// A browser that is logged in with the session cookie proves its writes with the token of GET /me.
let csrfToken = null;

async function withCsrfToken(request) {
  const isWrite = !["GET", "HEAD"].includes((request.method || "GET").toUpperCase());
  if (!isWrite || request.loadSpec || request.headers.Authorization) return request;
  if (csrfToken === null) {
    const response = await fetch("me");
    csrfToken = response.ok ? (await response.json()).csrf_token || "" : "";
  }
  if (csrfToken) request.headers["X-CSRF-Token"] = csrfToken;
  return request;
}

window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  filter: true,
  displayOperationId: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  syntaxHighlight: false,
  requestInterceptor: withCsrfToken,
  validatorUrl: null,
});
