"""Why a TLS handshake failed, in words for the person at the machine. Pure."""

from __future__ import annotations

import ssl

from protocols.faults import Code

# X509_V_ERR_… of OpenSSL's x509_vfy.h
_EXPIRED, _NOT_YET = 10, 9
_VERIFY = {
    2: "its certificate was signed by an authority that is not trusted here",
    _NOT_YET: "its certificate is not valid yet; compare both clocks",
    _EXPIRED: "its certificate has expired",
    18: "its certificate signs itself and is not trusted here",
    19: "its certificate was signed by an authority that is not trusted here",
    20: "its certificate was signed by an authority that is not trusted here",
    21: "its certificate was signed by an authority that is not trusted here",
    23: "its certificate was revoked",
    24: "its certificate was signed by one that is no authority",
    26: "its certificate is made for another purpose (extended key usage)",
    62: "its certificate is for another name than the one connected to",
    64: "its certificate is for another address than the one connected to",
}
_PLAIN = "it does not speak TLS; is it set to plain Modbus TCP?"
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate",
    "UNSUPPORTED_PROTOCOL": "it offers only TLS versions older than 1.2",
    "VERSION_TOO_LOW": "it offers only TLS versions older than 1.2",
    "WRONG_VERSION_NUMBER": _PLAIN,
    "HTTP_REQUEST": _PLAIN,
    "NO_SHARED_CIPHER": "it offers no cipher suite that is allowed here",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "it takes no signature that our certificate can give; use another kind of key",
}
_ALERTS = {
    "UNKNOWN_CA": "it does not trust our certificate",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "BAD_CERTIFICATE": "it does not accept our certificate",
    "CERTIFICATE_EXPIRED": "it says that our certificate has expired; compare both clocks",
    "CERTIFICATE_REVOKED": "it says that our certificate was revoked",
    "CERTIFICATE_REQUIRED": "it wants a certificate, and we showed none",
    "PROTOCOL_VERSION": "it accepts none of our TLS versions",
    "HANDSHAKE_FAILURE": "it accepts none of our cipher suites, or wants a certificate that we do not have",
    "DECRYPT_ERROR": "it could not check our signature",
}


def reason(error: ssl.SSLError) -> tuple[Code, str]:
    """The fault code, and the reason as what follows the peer's name."""
    if isinstance(error, ssl.SSLCertVerificationError):
        verify = getattr(error, "verify_code", 0)
        text = _VERIFY.get(verify) or getattr(error, "verify_message", "") or str(error)
        return (Code.CERT_EXPIRED if verify == _EXPIRED else Code.PEER_REFUSED), text
    name = error.reason or ""
    if "ALERT_" in name:
        alert = name.partition("ALERT_")[2]
        return Code.PEER_REFUSED, _ALERTS.get(alert, f"it broke off with alert {_words(alert)}")
    return Code.PEER_REFUSED, _REASONS.get(name) or f"TLS failed ({_words(name) or error})"


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
