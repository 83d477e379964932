"""S11: who somebody says to be, decrypted and with its proof checked; asyncua compares no nonce and takes SHA-1.

Source: OPC UA Part 4 §7.40 (UserIdentityToken parameters), §7.41 (legacy encrypted token format).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto import uacrypto
from asyncua.crypto.security_policies import (
    SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
)
from cryptography.exceptions import InvalidSignature

LONGEST = 256
"""Characters of a user name, and bytes of a password."""
_DECRYPT: dict[str, Callable[..., Any]] = {
    policy.AsymmetricEncryptionURI: uacrypto.decrypt_rsa_oaep
    for policy in (SecurityPolicyBasic256Sha256, SecurityPolicyAes128Sha256RsaOaep)
} | {SecurityPolicyAes256Sha256RsaPss.AsymmetricEncryptionURI: uacrypto.decrypt_rsa_oaep_sha256}
_VERIFY: dict[str, Callable[..., Any]] = {
    policy.AsymmetricSignatureURI: uacrypto.verify_sha256
    for policy in (SecurityPolicyBasic256Sha256, SecurityPolicyAes128Sha256RsaOaep)
} | {SecurityPolicyAes256Sha256RsaPss.AsymmetricSignatureURI: uacrypto.verify_pss_sha256}


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks for a session: nobody in particular, a name with its password, or the owner of a certificate's key."""

    address: str
    """Where the connection comes from."""
    name: str | None = None
    password: str | None = None
    certificate: bytes | None = None
    """DER; that its key is there has been proved."""
    secure: bool = True
    """Whether the channel is."""

    @property
    def anonymous(self) -> bool:
        return self.name is None and self.certificate is None

    def __repr__(self) -> str:
        return f"Login({self.address!r}, {self.name!r})"  # never the password


@dataclass(frozen=True, slots=True)
class Proof:
    """What a token is checked against."""

    address: str
    nonce: bytes
    server_certificate: bytes
    private_key: Any
    secure: bool
    readable: bool
    """Whether a password that is not encrypted must not be taken: others could have read it."""


def login_of(token: Any, signature: ua.SignatureData, proof: Proof) -> Login:
    """The login in an ActivateSession request; ServiceError for a token that proves nothing."""
    if isinstance(token, ua.UserNameIdentityToken):
        return _by_name(token, proof)
    if isinstance(token, ua.X509IdentityToken):
        return _by_certificate(token, signature, proof)
    null = isinstance(token, ua.ExtensionObject) and token.TypeId.Identifier == 0
    if token is None or null or isinstance(token, ua.AnonymousIdentityToken):
        return Login(proof.address, secure=proof.secure)
    raise ServiceError(ua.StatusCodes.BadIdentityTokenInvalid)


def _by_name(token: ua.UserNameIdentityToken, proof: Proof) -> Login:
    secret, name = token.Password or b"", token.UserName or ""
    if isinstance(secret, str):
        secret = secret.encode()
    if token.EncryptionAlgorithm:
        secret = _decrypted(secret, token.EncryptionAlgorithm, proof)
    elif proof.readable:
        raise ServiceError(ua.StatusCodes.BadIdentityTokenRejected)
    if not name or len(name) > LONGEST or len(secret) > LONGEST:
        raise ServiceError(ua.StatusCodes.BadUserAccessDenied)
    try:
        return Login(proof.address, name, secret.decode(), secure=proof.secure)
    except UnicodeDecodeError:
        raise ServiceError(ua.StatusCodes.BadIdentityTokenInvalid) from None


def _decrypted(secret: bytes, algorithm: str, proof: Proof) -> bytes:
    """Length of what follows, password, our nonce: Part 4 §7.41.2."""
    decrypt = _DECRYPT.get(algorithm)
    if decrypt is None or proof.private_key is None:
        raise ServiceError(ua.StatusCodes.BadIdentityTokenInvalid)
    try:
        plain = bytes(decrypt(proof.private_key, secret))
    except ValueError:
        raise ServiceError(ua.StatusCodes.BadIdentityTokenInvalid) from None
    size = int.from_bytes(plain[:4], "little")
    password, nonce = plain[4 : 4 + size - len(proof.nonce)], plain[4 + size - len(proof.nonce) : 4 + size]
    if size < len(proof.nonce) or not hmac.compare_digest(nonce, proof.nonce):
        raise ServiceError(ua.StatusCodes.BadIdentityTokenInvalid)
    return password


def _by_certificate(token: ua.X509IdentityToken, signature: ua.SignatureData, proof: Proof) -> Login:
    verify = _VERIFY.get(signature.Algorithm or "")
    if verify is None or not signature.Signature:
        raise ServiceError(ua.StatusCodes.BadUserSignatureInvalid)
    try:
        certificate = uacrypto.x509_from_der(token.CertificateData)
        verify(certificate, proof.server_certificate + proof.nonce, signature.Signature)
    except (InvalidSignature, uacrypto.InvalidSignature, ValueError, TypeError, AttributeError):  # two of one name
        raise ServiceError(ua.StatusCodes.BadUserSignatureInvalid) from None
    return Login(proof.address, certificate=uacrypto.der_from_x509(certificate), secure=proof.secure)
