"""ID tokens that are taken, and those that are not: signed by real keys."""

import hmac
import json
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from holdfast.access import Role
from holdfast.access.id_token import ExpectedToken, signing_key, verified_claims
from holdfast.access.person import name_of, role_of
from holdfast.errors import UnauthenticatedError

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
EXPECTED = ExpectedToken("https://id.example", "holdfast", "n-1")
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
KEYS = [
    {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "a", "use": "sig"},
    {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(CURVE.public_key())), "kid": "b"},
    {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "c", "use": "enc"},
]


def claims(**changed):
    at = int(NOW.timestamp())
    found = {
        "iss": "https://id.example", "aud": "holdfast", "sub": "248", "nonce": "n-1",
        "iat": at, "exp": at + 300, **changed,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def taken(token):
    key = signing_key(token, KEYS)
    return None if key is None else verified_claims(token, key, EXPECTED, NOW)


def signed(content, key=RSA, algorithm="RS256", kid="a"):
    return jwt.encode(content, key, algorithm, headers={} if kid is None else {"kid": kid})


def test_a_token_by_each_kind_of_key_is_taken():
    assert taken(signed(claims()))["sub"] == "248"
    assert taken(signed(claims(), algorithm="PS512"))["sub"] == "248"
    assert taken(signed(claims(), CURVE, "ES256", "b"))["sub"] == "248"
    both = claims(aud=["holdfast", "api"], azp="holdfast")
    assert taken(signed(both))["sub"] == "248"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"iss": "https://id.example/"}, "another issuer"),
        ({"aud": "another"}, "another client"),
        ({"aud": None}, "another client"),
        ({"aud": ["holdfast", "another"]}, "another client"),
        ({"azp": "another"}, "another client"),
        ({"exp": int(NOW.timestamp()) - 61}, "over"),
        ({"exp": None}, "no time exp"),
        ({"exp": True}, "no time exp"),
        ({"exp": 1e300}, "time exp"),
        ({"iat": int(NOW.timestamp()) + 61}, "future"),
        ({"nbf": int(NOW.timestamp()) + 61}, "future"),
        ({"nonce": "n-2"}, "another login"),
        ({"nonce": None}, "another login"),
        ({"sub": None}, "nobody"),
        ({"sub": "a\u202eb"}, "nobody"),
        ({"sub": "x" * 256}, "nobody"),
    ],
)
def test_a_token_that_claims_anything_else_is_refused(changed, said):
    with pytest.raises(UnauthenticatedError, match=said):
        taken(signed(claims(**changed)))


def test_a_time_that_is_no_number_does_not_last_for_ever():
    content = json.dumps(claims()).replace(str(claims()["exp"]), "NaN").encode()
    token = jwt.PyJWS().encode(content, RSA, "RS256", headers={"kid": "a"})
    with pytest.raises(UnauthenticatedError, match="time exp"):
        taken(token)


def test_algorithms_without_a_key_of_the_provider_are_refused():
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = {"alg": "HS256", "typ": "JWT", "kid": "a"}
    parts = [jwt.utils.base64url_encode(json.dumps(part).encode()) for part in (head, claims())]
    text = b".".join(parts)
    forged = text + b"." + jwt.utils.base64url_encode(hmac.digest(public, text, "sha256"))
    for token in (
        forged.decode(),
        jwt.encode(claims(), None, "none", headers={"kid": "a"}),
        jwt.encode(claims(), "a" * 64, "HS256", headers={"kid": "a"}),
    ):
        with pytest.raises(UnauthenticatedError, match="signed by"):
            taken(token)


def test_a_changed_token_and_one_by_another_key_are_refused():
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    head, _, tail = signed(claims()).split(".")
    _, other, _ = signed(claims(sub="1")).split(".")
    for token in (signed(claims(), stranger), f"{head}.{other}.{tail}", "no.token", ""):
        with pytest.raises(UnauthenticatedError):
            taken(token)
    with pytest.raises(UnauthenticatedError, match="key can't be used"):
        taken(signed(claims(), CURVE, "ES256", "a"))


def test_a_key_is_never_guessed():
    assert taken(signed(claims(), kid="unknown")) is None
    assert taken(signed(claims(), kid="c")) is None, "a key for encryption"
    assert taken(signed(claims(), kid=None)) is None, "several could be meant"
    token = signed(claims(), kid=None)
    assert verified_claims(token, signing_key(token, KEYS[:1]), EXPECTED, NOW)["sub"] == "248"
    bound = [{**KEYS[0], "alg": "RS512"}]
    assert signing_key(signed(claims()), bound) is None, "the key is for another algorithm"


def test_roles_follow_from_a_claim_of_text_or_a_list_nested_or_not():
    roles = {"staff": Role.VIEWER, "ops": Role.OPERATOR}
    assert role_of({"groups": ["ops", "staff", 1]}, "groups", roles) is Role.OPERATOR
    assert role_of({"groups": "staff"}, "groups", roles) is Role.VIEWER
    assert role_of({"realm": {"roles": ["staff"]}}, "realm.roles", roles) is Role.VIEWER
    assert role_of({"https://a.b/c": ["ops"]}, "https://a.b/c", roles) is Role.OPERATOR
    for none in ({}, {"groups": ["others"]}, {"groups": {"staff": 1}}, {"groups": [["ops"]]}):
        assert role_of(none, "groups", roles) is None


def test_a_name_says_the_subject_whatever_one_calls_oneself():
    shown = name_of({"sub": "7", "preferred_username": "  admin\u202e\n (1)" + "x" * 300})
    assert shown.startswith("admin (1)")
    assert shown.endswith(" (7)")
    assert len(shown) <= 200
    assert name_of({"sub": "7", "email": "\u200b"}) == "7"
    long = name_of({"sub": "x" * 255, "name": "y" * 300})
    assert "sha256:" in long
    assert len(long) <= 200
