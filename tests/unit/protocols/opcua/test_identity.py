"""What a token must prove before anybody looks up its user."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto import uacrypto
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256 as Policy

from protocols.opcua.compat.identity import Login, Proof, login_of
from tests.opcua_papers import Paper, Papers

NONCE = bytes(range(32))


@pytest.fixture(scope="module")
def papers() -> Papers:
    return Papers()


@pytest.fixture(scope="module")
def server(papers: Papers) -> Paper:
    return papers.client


@pytest.fixture
def proof(server: Paper) -> Proof:
    return Proof("10.0.0.1", NONCE, server.der, server.key, secure=True, readable=False)


def _token(secret: bytes, algorithm: str = "") -> ua.UserNameIdentityToken:
    return ua.UserNameIdentityToken(
        UserName=ua.String("otto"), Password=ua.ByteString(secret), EncryptionAlgorithm=ua.String(algorithm)
    )


def _encrypted(server: Paper, password: bytes, nonce: bytes) -> bytes:
    plain = struct.pack("<I", len(password) + len(nonce)) + password + nonce
    return bytes(Policy.encrypt_asymmetric(server.certificate.public_key(), plain))


def _refused(token: object, signature: ua.SignatureData, proof: Proof) -> str:
    with pytest.raises(ServiceError) as caught:
        login_of(token, signature, proof)
    return ua.StatusCode(ua.UInt32(caught.value.code)).name


def test_a_password_that_others_could_read_is_not_taken(proof: Proof) -> None:
    assert login_of(_token(b"horse"), ua.SignatureData(), proof) == Login("10.0.0.1", "otto", "horse")
    open_ = replace(proof, readable=True)
    assert _refused(_token(b"horse"), ua.SignatureData(), open_) == "BadIdentityTokenRejected"


def test_an_encrypted_password_must_hold_our_nonce(proof: Proof, server: Paper) -> None:
    good = _token(_encrypted(server, b"horse", NONCE), Policy.AsymmetricEncryptionURI)
    assert login_of(good, ua.SignatureData(), proof).password == "horse"  # noqa: S105 - a test's
    for nonce in (bytes(32), b""):
        replayed = _token(_encrypted(server, b"horse", nonce), Policy.AsymmetricEncryptionURI)
        assert _refused(replayed, ua.SignatureData(), proof) == "BadIdentityTokenInvalid"


@pytest.mark.parametrize("algorithm", ["http://www.w3.org/2001/04/xmlenc#rsa-1_5", "nonsense"])
def test_weak_encryption_is_not_taken(proof: Proof, server: Paper, algorithm: str) -> None:
    token = _token(_encrypted(server, b"horse", NONCE), algorithm)
    assert _refused(token, ua.SignatureData(), proof) == "BadIdentityTokenInvalid"


@pytest.mark.parametrize("secret", [b"", b"nonsense", bytes(256), bytes(100_000)])
def test_what_cannot_be_decrypted_is_no_login(proof: Proof, secret: bytes) -> None:
    token = _token(secret, Policy.AsymmetricEncryptionURI)
    assert _refused(token, ua.SignatureData(), proof) == "BadIdentityTokenInvalid"


def test_a_certificate_needs_the_signature_of_its_key_over_our_nonce(proof: Proof, papers: Papers) -> None:
    user, token = papers.stranger, ua.X509IdentityToken()
    token.CertificateData = ua.ByteString(user.der)
    good = bytes(Policy.sign_asymmetric(user.key, proof.server_certificate + NONCE))
    uri = ua.String(Policy.AsymmetricSignatureURI)
    assert login_of(token, ua.SignatureData(uri, ua.ByteString(good)), proof).certificate == user.der
    other = bytes(Policy.sign_asymmetric(papers.signed.key, proof.server_certificate + NONCE))
    stale = bytes(Policy.sign_asymmetric(user.key, proof.server_certificate + bytes(32)))
    for signature in (other, stale, b""):
        given = ua.SignatureData(uri, ua.ByteString(signature))
        assert _refused(token, given, proof) == "BadUserSignatureInvalid"
    sha1 = bytes(uacrypto.sign_sha1(user.key, proof.server_certificate + NONCE))
    weak = ua.SignatureData(ua.String("http://www.w3.org/2000/09/xmldsig#rsa-sha1"), ua.ByteString(sha1))
    assert _refused(token, weak, proof) == "BadUserSignatureInvalid"


@pytest.mark.parametrize("token", [None, ua.AnonymousIdentityToken(), ua.ExtensionObject()])
def test_nobody_in_particular_is_anonymous(proof: Proof, token: object) -> None:
    assert login_of(token, ua.SignatureData(), proof).anonymous


def test_other_tokens_are_refused(proof: Proof) -> None:
    assert _refused(ua.IssuedIdentityToken(), ua.SignatureData(), proof) == "BadIdentityTokenInvalid"
