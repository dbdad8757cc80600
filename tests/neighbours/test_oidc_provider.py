"""The certified OpenID provider `oidc-provider`, from npm."""

import base64
import subprocess
import unittest
import urllib.parse
from pathlib import Path

from tests.neighbours.scene import Gateway, ask, get, post

FOLDER = Path(__file__).parent / "oidc_provider"


class OidcProvider(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not (FOLDER / "node_modules/oidc-provider").is_dir():
            subprocess.run(["npm", "ci", "--loglevel=error", "--no-audit", "--no-fund", "--prefix", FOLDER], check=True)
        cls.provider = subprocess.Popen(["node", FOLDER / "server.mjs"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        cls.addClassCleanup(cls.provider.wait)
        cls.addClassCleanup(cls.provider.kill)
        cls.addClassCleanup(cls.provider.stdout.close)
        cls.issuer = cls.provider.stdout.readline().strip()

    def token(self, algorithm: str, scope: str) -> str:
        login = base64.b64encode(b"board:secret").decode()
        form = {"grant_type": "client_credentials", "scope": scope, "resource": f"urn:{algorithm}"}
        body = urllib.parse.urlencode(form).encode()
        port = urllib.parse.urlsplit(self.issuer).port
        answer = ask(port, "POST", "/token", body, content_type="application/x-www-form-urlencoded", authorization=f"Basic {login}")
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()["access_token"]

    def gateway(self, **variables: str) -> Gateway:
        gateway = Gateway(ANONYMOUS_SCOPES="none", OIDC_AUDIENCE="analytics", **variables)
        self.addCleanup(gateway.stop)
        return gateway

    def test_each_of_its_signatures_is_checked(self):
        gateway = self.gateway(OIDC_ISSUER=self.issuer)
        for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"]:
            with self.subTest(algorithm):
                bearer = f"Bearer {self.token(algorithm, 'reports')}"
                self.assertEqual(post(gateway.port, "{ heatmap { visits } }", authorization=bearer).status, 200)
                self.assertEqual(post(gateway.port, "{ members { totalCount } }", authorization=bearer).status, 403)
                self.assertEqual(get(gateway.port, "/api/reports/user_visits", authorization=bearer[:-4] + "AAAA").status, 401)

    def test_its_own_address_may_have_a_slash_less(self):
        gateway = self.gateway(OIDC_ISSUER=f"{self.issuer}/")
        bearer = f"Bearer {self.token('ES256', 'reports members')}"
        self.assertEqual(post(gateway.port, "{ members { totalCount } }", authorization=bearer).status, 200)
