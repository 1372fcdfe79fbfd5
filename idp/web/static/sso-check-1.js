/* await ssoCheck: {signedIn, name, token, way}. Shows and fills data-sso="in", "out", "name", "sign-in". */
(() => {
  "use strict";
  const {src, dataset: set} = document.currentScript, {client, kind = "token"} = set;
  const idp = new URL(src).origin, here = new URL(location), key = "sso-check:" + client;
  const back = new URL(set.return || here.pathname, here).href;
  const ask = (path, more) => `${idp + path}?` + new URLSearchParams({client, ...more});
  const link = ask(`/${kind}/signon`, {return: back});
  const byScript = kind == "jsonp", no = {signedIn: false};
  const ways = (set.ways || "fedcm userinfo ping gateway jsonp").split(" ");
  const fedcm = window.IdentityCredential, known = fedcm && localStorage[key];
  const make = (tag, more) => Object.assign(document.createElement(tag), more);

  const credential = async (mediation, mode, signal) => {
    const provider = {configURL: idp + "/fedcm/config.json", clientId: client, params: {return: back}};
    const found = await navigator.credentials.get({identity: {providers: [provider], mode}, mediation, signal});
    return {signedIn: true, token: found.token};
  };

  const frame = () => new Promise((give) => {
    const box = make("iframe", {hidden: true, allow: "identity-credentials-get", src: ask("/fedcm/frame")});
    addEventListener("message", ({source, origin, data}) => {
      if (source != box.contentWindow || origin != idp) return;
      box.remove();
      give(data);
    });
    document.body.append(box);
  });

  const jsonp = () => new Promise((give) => {
    window.ssoCheckAnswer = give;
    document.body.append(make("script", {referrerPolicy: "origin", src: ask("/jsonp/ping", {callback: "ssoCheckAnswer"})}));
  });

  /* Leaves the page, once in a visit, and comes back; with signed_in=0 when nobody is signed in. */
  const out = here.searchParams.get("signed_in") == "0", asked = sessionStorage[key];
  const cameIn = byScript && !out && Date.now() - asked < 9e3;
  const gateway = () => {
    if (asked || out) return {signedIn: cameIn};
    sessionStorage[key] = Date.now();
    location.replace(link + "&passive=1");
    return new Promise(() => {});
  };

  const tries = {
    fedcm: () => known && credential("silent", undefined, AbortSignal.timeout(7e3)),
    userinfo: () => known && frame(),
    ping: async () => byScript && (await fetch(ask("/jsonp/fetch"), {credentials: "include"})).json(),
    gateway,
    jsonp: () => byScript && jsonp(),
  };

  const show = (told) => {
    if (told.way == "fedcm") localStorage[key] = 1;
    for (const each of document.querySelectorAll("[data-sso]")) {
      const what = each.dataset.sso;
      if (what == "name") each.textContent = told.name || "";
      else each.hidden = (what == "in") != told.signedIn;
      if (what == "sign-in") each.href = link;
    }
    if (told.token && set.return && !byScript) {
      const form = make("form", {method: "post", action: back, hidden: true});
      form.append(make("input", {name: set.parameter || "token", value: told.token}));
      document.body.append(form);
      form.submit();
    }
    document.dispatchEvent(new CustomEvent("sso-check", {detail: told}));
    return told;
  };

  const check = async () => {
    for (const way of ways) {
      const late = new Promise((give) => way != "gateway" && setTimeout(give, 8e3, no));
      const told = await Promise.race([late, (async () => tries[way]())().catch(() => no)]);
      if (told && told.signedIn) return show({...told, way});
    }
    return show({...no, way: "link"});
  };

  addEventListener("click", async (event) => {
    if (!fedcm || !ways.includes("fedcm") || event.ctrlKey || event.metaKey || !event.target.closest("[data-sso=sign-in]")) return;
    event.preventDefault();
    try { show({...await credential("optional", "active"), way: "fedcm"}); } catch { location = link; }
  });

  window.ssoCheck = new Promise((give) => {
    if (document.readyState == "loading") addEventListener("DOMContentLoaded", () => give(check()));
    else give(check());
  });
})();
