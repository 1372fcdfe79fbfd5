// A vendor's site that signs members in by imis-idp. Node 18 or later, no packages: node vendor.mjs 8080
import { createPublicKey, randomBytes, verify } from "node:crypto";
import { createServer } from "node:http";

const IDP = process.env.IDP_URL;
const SERVICE = process.env.IDP_SERVICE_URL ?? IDP;
const SITE = process.env.SITE_URL;
const SECRET = process.env.IDP_SECRET;

const sessions = new Map(); // our cookie's value -> profile; a real site has a database
const seen = new Map(); // logout notices by their id -> when to forget them

class Refused extends Error {}

// The member's profile for a token. The token is spent, whatever comes next.
async function redeem(client, token, arrivedAt) {
  const answer = await fetch(`${SERVICE}/service/redeem`, {
    method: "POST",
    headers: { Authorization: "Basic " + Buffer.from(`${client}:${SECRET}`).toString("base64") },
    body: new URLSearchParams({ token, return: arrivedAt }),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Refused(`Sign-in failed: ${told.message} (${told.error}, reference ${told.reference})`);
  return told;
}

// The session of a logout notice. Throws unless all of it is right (OpenID Connect Back-Channel Logout 1.0, 2.6).
async function checkNotice(token) {
  const [head, body, signature, more] = token.split(".");
  let header, claims, good;
  try {
    if (!signature || more !== undefined) throw new Error();
    header = JSON.parse(Buffer.from(head, "base64url"));
    claims = JSON.parse(Buffer.from(body, "base64url"));
    const key = (await signingKeys()).find((each) => each.kid === header.kid && each.kty === "RSA");
    const signed = verify("RSA-SHA256", `${head}.${body}`, createPublicKey({ key, format: "jwk" }), Buffer.from(signature, "base64url"));
    good = signed && header.alg === "RS256" && header.typ === "logout+jwt";
    good &&= claims.iss === IDP && claims.aud === "sample-token" && claims.exp > Date.now() / 1000;
    good &&= "http://schemas.openid.net/event/backchannel-logout" in claims.events && !("nonce" in claims);
  } catch {
    throw new Refused("This is no logout notice.");
  }
  if (!good || !claims.sid || !claims.jti || seen.has(claims.jti)) throw new Refused("This logout notice is not good.");
  for (const [old, end] of seen) if (end < Date.now() / 1000) seen.delete(old);
  seen.set(claims.jti, claims.exp);
  return claims.sid;
}

// A real site keeps the keys for an hour, and asks again for a kid that it does not know.
async function signingKeys() {
  return (await (await fetch(`${SERVICE}/oauth/jwks`)).json()).keys;
}

const PAGE = `<!doctype html><title>Sample</title><p id="who"><a href="/login">Sign in</a></p>
<script>
const enter = answer => { if (answer.signedIn) document.getElementById("who").textContent = "You are signed in."; };
fetch("${IDP}/jsonp/fetch?client=sample-jsonp", { credentials: "include" })
  .then(answer => answer.json()).then(enter)
  .catch(() => {  // an old browser: by a script element
    const script = document.createElement("script");
    script.src = "${IDP}/jsonp/ping?client=sample-jsonp&callback=enter";
    window.enter = enter;
    document.head.append(script);
  });  // where neither gets through, the link stays
</script>`;

const escape = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
const greeting = (profile) => `Welcome, ${escape(profile.attributes.full_name ?? "member")} (${escape(profile.subject)})`;

function cookie(request, name) {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim().split("="));
  return pairs.find(([key]) => key === name)?.[1] ?? "";
}

async function fields(request) {
  let text = "";
  for await (const piece of request) if ((text += piece).length > 10_000) throw new Refused("This is too long.");
  return new URLSearchParams(text);
}

async function enter(client, token, arrivedAt) {
  const profile = await redeem(client, token, arrivedAt);
  const session = randomBytes(32).toString("base64url"); // always a new one
  sessions.set(session, profile);
  const secure = SITE.startsWith("https:") ? "; Secure" : "";
  return { text: greeting(profile), cookie: `vendor=${session}; Path=/; HttpOnly; SameSite=Lax${secure}` };
}

const pages = {
  "GET /": async (request) => {
    const profile = sessions.get(cookie(request, "vendor"));
    return { text: profile ? greeting(profile) : "You are not signed in." };
  },
  "GET /login": async () => ({ to: `${IDP}/token/signon?${new URLSearchParams({ client: "sample-token", return: `${SITE}/sso` })}` }),
  "POST /sso": async (request) => enter("sample-token", (await fields(request)).get("token") ?? "", `${SITE}/sso`),
  "GET /cookie": async (request) => enter("sample-cookie", cookie(request, "idp_sample-cookie"), `${SITE}/cookie`),
  "GET /page": async () => ({ text: PAGE }),
  "GET /logout": async (request) => {
    sessions.delete(cookie(request, "vendor"));
    return { to: `${IDP}/token/logout?${new URLSearchParams({ client: "sample-token", return: `${SITE}/sso` })}` };
  },
  // Our server is called by the sign-in service: there is no browser here.
  "POST /logout-notice": async (request) => {
    const ended = await checkNotice((await fields(request)).get("logout_token") ?? "");
    for (const [ours, profile] of sessions) if (profile.session === ended) sessions.delete(ours);
    return { text: "Done." };
  },
};

createServer(async (request, response) => {
  const page = pages[`${request.method} ${request.url.split("?")[0]}`];
  let answer = { text: "There is no such page.", status: 404 };
  try {
    if (page) answer = await page(request);
  } catch (error) {
    if (!(error instanceof Refused)) console.error(error);
    answer = error instanceof Refused ? { text: escape(error.message), status: 400 } : { text: "Something went wrong.", status: 500 };
  }
  const headers = { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store" };
  if (answer.cookie) headers["Set-Cookie"] = answer.cookie;
  if (answer.to) headers.Location = answer.to;
  response.writeHead(answer.to ? 302 : answer.status ?? 200, headers).end(answer.text ?? "");
}).listen(Number(process.argv[2]), "127.0.0.1");
