// A SAML service provider by @node-saml/node-saml. One JSON object in, one out: {"do": ..., "options": ..., ...} -> its result or {"error"}.
import { SAML } from "@node-saml/node-saml";

const deeds = {
  // The address to which the member's browser is sent.
  ask: (saml, given) => saml.getAuthorizeUrlAsync(given.relayState ?? "", undefined, {}),
  // What it makes of a Response by POST.
  read: (saml, given) => saml.validatePostResponseAsync(given.fields),
  // The address to which the browser is sent to sign out.
  leave: (saml, given) => saml.getLogoutUrlAsync(given.profile, given.relayState ?? "", {}),
  // What it makes of a LogoutRequest or LogoutResponse by Redirect.
  hear: (saml, given) => saml.validateRedirectAsync(given.query, given.originalQuery),
};

// Requests that wait for an answer: given with each call, since each is a process of its own.
function waiting(requests) {
  const known = new Map(requests.map((id) => [id, new Date().toISOString()]));
  return {
    saved: () => [...known.keys()],
    saveAsync: async (key, value) => (known.set(key, value), { value, createdAt: Date.now() }),
    getAsync: async (key) => known.get(key) ?? null,
    removeAsync: async (key) => (known.delete(key) ? key : null),
  };
}

async function answer(given) {
  const cacheProvider = waiting(given.requests ?? []);
  const saml = new SAML({ ...given.options, cacheProvider });
  return { result: await deeds[given.do](saml, given), requests: cacheProvider.saved() };
}

let text = "";
for await (const part of process.stdin) text += part;
const said = await answer(JSON.parse(text)).catch((error) => ({ error: String(error.message) }));
process.stdout.write(JSON.stringify(said));
