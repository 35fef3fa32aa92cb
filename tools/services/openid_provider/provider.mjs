// An OpenID provider of made-up people, for tests: node provider.mjs MODULE PORT SECRET
import { randomBytes } from "node:crypto";
import { pathToFileURL } from "node:url";

const [module, port, secret] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(module));

// Whoever logs in is who the form says; the password is not looked at.
const GROUPS = { ann: ["admins", "staff"], ben: ["staff"] };

function client(id) {
  return {
    client_id: id,
    client_secret: secret,
    redirect_uris: ["http://localhost/console/login/openid/answer"],
    post_logout_redirect_uris: ["http://localhost/console/login"],
  };
}

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client("holdfast"), client("another")],
  claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
  conformIdTokenClaims: false, // what a scope names stands in the ID token
  cookies: { keys: [randomBytes(32).toString("hex")] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, groups: GROUPS[id] ?? [] }),
  }),
});
provider.listen(Number(port), "127.0.0.1");
