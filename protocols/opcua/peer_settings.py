"""The configuration of a connection to somebody else's OPC UA server: address, security, login, namespaces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from protocols.opcua.nodes import check_aliases
from protocols.settings import Settings

Policy = Literal["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
PORT = 4840
"""The registered port of opc.tcp."""


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme != "opc.tcp" or not parts.hostname or port == -1:
        raise ValueError(f"{text!r} is no endpoint; write it as opc.tcp://HOST:{PORT} with the PLC's name or address")
    if parts.username or parts.password:
        raise ValueError("a login does not belong into the URL; give `user` with a name and a password_file")
    return text


Endpoint = Annotated[str, Field(max_length=512), AfterValidator(_endpoint)]
"""opc.tcp://HOST:PORT/PATH; port 4840 when it is left out."""


def _aliases(found: dict[str, str]) -> dict[str, str]:
    check_aliases(found)
    return found


class ClientSecurity(Settings):
    """How the connection is protected and how the server proves who it is; never given up for a weaker one."""

    policy: Policy = "Basic256Sha256"
    """Algorithms; the PLC must offer these very ones."""
    mode: Literal["sign", "sign_and_encrypt"] = "sign_and_encrypt"
    certificate: Path
    """Our certificate (PEM or DER) with an RSA key and an application URI in it."""
    key: Path
    """Its private key (PEM), not encrypted, readable by the gateway's user alone."""
    trust: Path | None = None
    """A file or folder of certificates (.pem, .crt, .cer, .der): the PLC's own, or authorities with .crl files."""
    pinned: Path | None = None
    """Instead of `trust`: the PLC's own certificate; only this very one is accepted, whatever name it bears."""
    missing_crl: Literal["refuse", "accept"] = "refuse"
    """What to do with a certificate whose authority has left no list of revoked ones in `trust`."""
    rejected: Path | None = None
    """A folder for certificates that were refused, to be looked at and trusted by a person; at most 20 are kept."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.trust is None) == (self.pinned is None):
            raise ValueError("needs either `trust` (the PLC's certificate or its authority) or `pinned`")
        return self


class UserLogin(Settings):
    """Who the gateway is to the PLC: a name with a password, or a certificate."""

    name: str = Field("", max_length=128)
    password_file: Path | None = None
    """A file with the password in its first line, readable by the gateway's user alone."""
    certificate: Path | None = None
    """An X.509 user certificate (PEM or DER), instead of name and password."""
    key: Path | None = None
    """Its private key (PEM), not encrypted."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        by_name = bool(self.name) and self.password_file is not None
        by_certificate = self.certificate is not None and self.key is not None
        some = (bool(self.name), self.password_file is not None, self.certificate is not None, self.key is not None)
        if sum(some) != 2 or by_name == by_certificate:
            raise ValueError("needs either `name` and `password_file`, or `certificate` and `key`")
        return self


class OpcUaPeer(Settings):
    """An OPC UA server that the gateway asks: a PLC or a CNC."""

    url: Endpoint
    security: ClientSecurity | Literal["none"]
    """`none` sends everything in clear to whoever answers: for trials in a network of its own only."""
    user: UserLogin | None = None
    """Left out: anonymous."""
    namespaces: Annotated[dict[str, str], Field(max_length=32), AfterValidator(_aliases)] = Field(default_factory=dict)
    """Short names for namespace URIs, to be used as `ns=NAME;s=…` or `/Objects/NAME:…`; a URI never moves."""
    timeout_ms: float = Field(500.0, ge=50, le=10_000)
    """Of one request; a server that is silent for so long is given up and asked anew."""
    connect_timeout_s: float = Field(5.0, ge=0.5, le=60)
    """For each step of the security handshake and the login, where small PLCs calculate for seconds."""
    session_timeout_s: float = Field(30.0, ge=5, le=3600)
    """How long the PLC keeps the place of a gateway that was cut off; PLCs have few."""

    @model_validator(mode="after")
    def _login_is_protected(self) -> Self:
        if self.security == "none" and self.user is not None:
            raise ValueError("`user` with security none would send the password in clear; give `security` or no `user`")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or PORT

    @property
    def place(self) -> str:
        """For messages."""
        host, port = self.address
        return f"{host}:{port}"
