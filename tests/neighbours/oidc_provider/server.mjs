// An identity provider that gives access tokens (JWT) to the client `board`, each signed in the way that it asks for as
// the resource: `urn:ES256` is one with ES256. Prints its address when it listens.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";

import Provider from "oidc-provider";

const pairs = {
  rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  p256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  p384: generateKeyPairSync("ec", { namedCurve: "P-384" }),
  ed: generateKeyPairSync("ed25519"),
};
const keys = Object.entries(pairs).map(([kid, { privateKey }]) => ({
  ...privateKey.export({ format: "jwk" }),
  kid,
  use: "sig",
}));

const server = createServer((request, response) => provider.callback()(request, response));
let provider;
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: "board",
        client_secret: "secret",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    scopes: ["reports", "members"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: "reports members",
          audience: "analytics",
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: resource.replace("urn:", "") } },
        }),
      },
    },
  });
  console.log(issuer);
});
