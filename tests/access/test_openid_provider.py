"""What is asked of a provider, how often, and which of its answers are not taken: over sockets."""

import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from holdfast.access import Role
from holdfast.access.login_attempt import LoginAttempt
from holdfast.access.openid_provider import OpenIDProvider, ProviderOptions
from holdfast.access.provider_requests import ANSWER_BYTES, is_safe
from holdfast.errors import ConfigurationError, UnauthenticatedError, UnavailableError
from http_serving import served

BACK = "https://video.example/console/login/openid/answer"
PAIRS = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in "ab"}


class FaultyProvider:
    """A provider that answers what a test says, and remembers what it was asked."""

    def __init__(self):
        paths = ["/.well-known/openid-configuration", "/keys", "/token"]
        self.app = Starlette(
            routes=[Route(each, self.answer, methods=["GET", "POST"]) for each in paths]
        )
        self.now = datetime(2026, 11, 29, tzinfo=UTC)

    def reset(self, url):
        self.issuer = url
        self.shown = ["a"]
        self.signs = "a"
        self.instead = {}
        self.said = {}
        self.asked = []
        self.attempt = LoginAttempt()
        options = ProviderOptions(
            issuer=url,
            client_id="hold:fast",
            client_secret="ä secret",
            roles={"staff": Role.VIEWER},
        )
        self.provider = OpenIDProvider(options, now=lambda: self.now)

    async def answer(self, request):
        path = request.url.path
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.asked.append((path, form, request.headers.get("authorization")))
        if path in self.instead:
            return self.instead[path]
        if path == "/keys":
            return JSONResponse({"keys": [self.key(kid) for kid in self.shown]})
        if path == "/token":
            return JSONResponse({"id_token": self.token()})
        return JSONResponse(self.discovery() | self.said)

    def discovery(self):
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def key(self, kid):
        public = jwt.algorithms.RSAAlgorithm.to_jwk(PAIRS[kid].public_key())
        return {**json.loads(public), "kid": kid}

    def token(self):
        at = int(self.now.timestamp())
        claims = {
            "iss": self.issuer, "aud": "hold:fast", "sub": "7", "groups": ["staff"],
            "nonce": self.attempt.nonce, "iat": at, "exp": at + 60,
        }  # fmt: skip
        return jwt.encode(claims, PAIRS[self.signs], "RS256", headers={"kid": self.signs})

    async def log_in(self):
        answer = {"state": self.attempt.state, "code": "c"}
        return await self.provider.person(self.attempt, answer, BACK)

    def times(self, path):
        return sum(each[0] == path for each in self.asked)


@pytest.fixture(scope="module")
def listening():
    faulty = FaultyProvider()
    with served(faulty.app) as url:
        yield faulty, url


@pytest.fixture
def faulty(listening):
    found, url = listening
    found.reset(url)
    return found


async def test_the_client_shows_its_secret_and_the_verifier_of_the_challenge(faulty):
    url = await faulty.provider.login_url(faulty.attempt, BACK)
    assert url.startswith(f"{faulty.issuer}/authorize?tenant=1&response_type=code&")
    assert faulty.attempt.challenge in url
    assert faulty.attempt.verifier not in url
    assert faulty.attempt.secret not in url + repr(faulty.attempt)
    person = await faulty.log_in()
    assert (person.subject, person.role) == ("7", Role.VIEWER)
    _, form, shown = faulty.asked[1]
    assert form["code_verifier"] == faulty.attempt.verifier
    assert "client_secret" not in form
    assert shown == "Basic aG9sZCUzQWZhc3Q6JUMzJUE0K3NlY3JldA=="  # hold%3Afast:%C3%A4+secret
    faulty.said = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    faulty.now += timedelta(hours=1)
    await faulty.log_in()
    _, form, shown = next(each for each in reversed(faulty.asked) if each[0] == "/token")
    assert (form["client_secret"], shown) == ("ä secret", None)


async def test_a_new_key_is_fetched_once_and_not_more_often_than_each_minute(faulty):
    for _ in range(3):
        await faulty.log_in()
    assert (faulty.times("/keys"), faulty.times("/.well-known/openid-configuration")) == (1, 1)
    faulty.signs = "b"
    with pytest.raises(UnauthenticatedError, match="unknown key"):
        await faulty.log_in()
    assert faulty.times("/keys") == 1, "a minute has not gone by"
    faulty.now += timedelta(minutes=1)
    for _ in range(3):
        with pytest.raises(UnauthenticatedError, match="unknown key"):
            await faulty.log_in()
    assert faulty.times("/keys") == 2
    faulty.shown = ["a", "b"]
    faulty.now += timedelta(minutes=1)
    assert (await faulty.log_in()).subject == "7"
    assert faulty.times("/keys") == 3


async def test_a_key_that_was_withdrawn_is_forgotten_after_an_hour(faulty):
    await faulty.log_in()
    faulty.shown = ["b"]
    faulty.now += timedelta(hours=1)
    with pytest.raises(UnauthenticatedError, match="unknown key"):
        await faulty.log_in()
    assert faulty.times("/keys") == 2


async def test_what_is_no_answer_of_the_issuer_is_refused(faulty):
    for said, match in (
        ({"issuer": "https://other.example"}, "names itself"),
        ({"token_endpoint": "http://192.0.2.1/token"}, "token_endpoint"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
        ({"end_session_endpoint": 'https://a.example/"><script>'}, "end_session_endpoint"),
    ):
        faulty.said = said
        with pytest.raises(ConfigurationError, match=match):
            await faulty.provider.discovery()
    faulty.said = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(UnauthenticatedError, match="another provider"):
        await faulty.log_in()


async def test_answers_are_bounded_and_redirects_are_not_followed(faulty):
    for path, answer in (
        ("/token", RedirectResponse("/keys")),
        ("/token", JSONResponse({"error": "invalid_client <b>"}, 401)),
        ("/token", Response("[" * 100_000)),
        ("/token", Response(b" " * (ANSWER_BYTES + 1))),
        ("/keys", JSONResponse({"keys": "none"})),
    ):
        faulty.instead = {path: answer}
        with pytest.raises(UnavailableError) as raised:
            await faulty.log_in()
        assert "<" not in str(raised.value)
    faulty.instead = {"/token": JSONResponse({"error": "invalid_grant"}, 400)}
    with pytest.raises(UnauthenticatedError, match="code"):
        await faulty.log_in()


def test_only_https_or_this_machine_is_asked():
    for url in ("https://a.example", "https://a.example:8443/x?y=1"):
        assert is_safe(url, clear=False)
    for url in ("http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"):
        assert is_safe(url, clear=True)
        assert not is_safe(url, clear=False)
    for url in (
        "http://a.example", "https://", "https://u:p@a.example", "https://a.example/#x",
        "https://a.example/\r\nX: y", "https://a.example:x/", "//a.example", "https://ä.example",
    ):  # fmt: skip
        assert not is_safe(url, clear=True), url
    with pytest.raises(ConfigurationError, match="https"):
        OpenIDProvider(ProviderOptions(issuer="http://a.example", client_id="x", roles={}))
