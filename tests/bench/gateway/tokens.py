"""Access tokens of an issuer of the measurement's own (EdDSA, RFC 8037), and the key set that verifies them."""

import base64
import json
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ISSUER, AUDIENCE = "https://issuer.bench", "bench"
# More than any cache of verified tokens holds.
COUNT = 25_000


class Minted:
    def __init__(self, stage):
        self.stage = stage
        self.key = Ed25519PrivateKey.generate()
        path = stage.file("jwks.json", json.dumps({"keys": [self.public()]}))
        self.auth = f'[auth]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks = "{path}"\n'
        self.tokens = [self.token(f"subject-{number}") for number in range(COUNT)]

    def public(self):
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "bench", "x": encoded(raw)}

    def token(self, subject):
        now = int(time.time())
        header = {"alg": "EdDSA", "typ": "at+jwt", "kid": "bench"}
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "client_id": "bench", "scope": "things:read things:write",
            "iat": now, "exp": now + 7200, "jti": subject,
        }
        text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{encoded(self.key.sign(text.encode()))}"

    def script(self):
        """For wrk: every request with the next token."""
        listing = self.stage.file("tokens.txt", "\n".join(self.tokens))
        return self.stage.file("tokens.lua", f"""
local requests, at = {{}}, 0
function init()
  for token in io.lines("{listing}") do
    requests[#requests + 1] = wrk.format("GET", nil, {{ ["Authorization"] = "Bearer " .. token }})
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
""")


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
