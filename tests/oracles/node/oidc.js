// An OpenID Connect relying party by openid-client. One JSON object in, one out: {"do": ..., "issuer": ..., ...} -> its result or {"error"}.
import * as oidc from "openid-client";

const ES256 = { name: "ECDSA", namedCurve: "P-256" };

// What the token endpoint sends, with its ID token changed on the way.
function changing(how) {
  return async (url, options) => {
    const response = await fetch(url, options);
    if (!how || !url.endsWith("/oauth/token") || !response.ok) return response;
    const told = await response.json();
    const [header, payload, signature] = told.id_token.split(".");
    const claims = { ...JSON.parse(Buffer.from(payload, "base64url")), ...how };
    const changed = Buffer.from(JSON.stringify(claims)).toString("base64url");
    return Response.json({ ...told, id_token: [header, changed, signature].join(".") });
  };
}

async function configured(given) {
  // The trial on this machine has no TLS; with it openid-client would not look at signatures at all, unless it is told to.
  const execute = [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks];
  const options = { execute, [oidc.customFetch]: changing(given.change) };
  return oidc.discovery(new URL(given.issuer), given.client_id, given.secret, undefined, options);
}

async function proving(config, given) {
  if (!given.dpop) return {};
  const key = given.key ?? (await madeKey());
  const pair = {
    privateKey: await crypto.subtle.importKey("jwk", key.private, ES256, false, ["sign"]),
    publicKey: await crypto.subtle.importKey("jwk", key.public, ES256, true, ["verify"]),
  };
  return { key, options: { DPoP: oidc.getDPoPHandle(config, pair) } };
}

async function madeKey() {
  const pair = await oidc.randomDPoPKeyPair("ES256", { extractable: true });
  const [hidden, shown] = [pair.privateKey, pair.publicKey].map((key) => crypto.subtle.exportKey("jwk", key));
  return { private: await hidden, public: await shown };
}

const deeds = {
  // The address to which the member's browser is sent, and what waits for it to come back.
  ask: async (config, given) => {
    const { key, options } = await proving(config, given);
    const [verifier, state, nonce] = [oidc.randomPKCECodeVerifier(), oidc.randomState(), oidc.randomNonce()];
    const request = {
      redirect_uri: given.redirect_uri,
      scope: given.scope,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
    };
    const build = given.push ? oidc.buildAuthorizationUrlWithPAR : oidc.buildAuthorizationUrl;
    return { url: (await build(config, request, options)).href, kept: { verifier, state, nonce, key } };
  },
  // From the code to a refresh, userinfo and introspection; and the address at which the member leaves.
  finish: async (config, given) => {
    const { verifier, state, nonce, key } = given.kept;
    const { options } = await proving(config, { ...given, key });
    const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce };
    const tokens = await oidc.authorizationCodeGrant(config, new URL(given.url), checks, undefined, options);
    const claims = tokens.claims();
    const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, options);
    const userinfo = await oidc.fetchUserInfo(config, refreshed.access_token, claims.sub, options);
    const introspected = await oidc.tokenIntrospection(config, refreshed.access_token);
    const leaving = { id_token_hint: refreshed.id_token, post_logout_redirect_uri: given.signed_out, state };
    const leave = oidc.buildEndSessionUrl(config, leaving).href;
    return { claims, again: refreshed.claims(), type: tokens.token_type, userinfo, introspected, leave, state };
  },
};

let text = "";
for await (const part of process.stdin) text += part;
const given = JSON.parse(text);
const said = await configured(given)
  .then((config) => deeds[given.do](config, given))
  .catch((error) => ({ error: [error.message, error.cause?.message, error.code].filter(Boolean).join(": ") }));
process.stdout.write(JSON.stringify(said));
