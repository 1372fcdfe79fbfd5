"use strict";
// OpenID Connect Session Management 1.0, section 3.2: a client's page asks whether the sign-in that it knows is still there.
(() => {
  const { cookie, origins } = document.currentScript.dataset;
  const allowed = origins.split(" ");
  const above = (location.ancestorOrigins || [])[0];

  const hash = async (text) => {
    const octets = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    return [...octets].map((octet) => octet.toString(16).padStart(2, "0")).join("");
  };

  const browserState = () => {
    const found = document.cookie.split("; ").find((each) => each.startsWith(cookie + "="));
    return found ? found.slice(cookie.length + 1) : "";
  };

  // A browser that keeps cookies from frames would always say "changed", and the client would ask our server over and over again.
  const canSee = async () => !document.hasStorageAccess || await document.hasStorageAccess();

  const answer = async (message, origin) => {
    const [, client, known, salt] = /^(\S+) ([0-9a-f]{64})\.(\S+)$/.exec(message) || [];
    if (!client) return "error";
    const state = browserState();
    if (!state && !await canSee()) return "error";
    return await hash(`${client} ${origin} ${state} ${salt}`) === known ? "unchanged" : "changed";
  };

  addEventListener("message", async ({ data, origin, source }) => {
    if (!source || origin === "null") return;
    const isTheirs = allowed.includes(origin) && (!above || above === origin);
    source.postMessage(isTheirs && typeof data === "string" ? await answer(data, origin) : "error", origin);
  });
})();
