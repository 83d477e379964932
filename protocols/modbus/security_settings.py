"""The configuration of Modbus/TCP Security: our certificate, whom we trust, and what a role may do."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from protocols.settings import Settings

Access = Literal["none", "read", "write", "read_write"]


class OwnCertificate(Settings):
    """What we show to the other side."""

    certificate: Path
    """Our certificate (PEM), followed by those that signed it, if any."""
    key: Path
    """Its private key (PEM), not encrypted, readable by the gateway's user alone."""


class ServerTls(OwnCertificate):
    """Modbus/TCP Security on a listener: only masters with a trusted certificate get in."""

    trust: Path
    """A file or folder of certificates (.pem, .crt, .cer, .der): authorities, or single masters."""
    roles: dict[str, Access] = Field(default_factory=dict, max_length=64)
    """What the role in a master's certificate may do: none, read, write or read_write; roles not named may nothing."""
    no_role: Access = "none"
    """What a trusted certificate without a role may do."""
    handshake_timeout_s: float = Field(5.0, ge=0.1, le=60)
    """A connection whose handshake takes longer is closed."""


class ClientTls(OwnCertificate):
    """Modbus/TCP Security towards a PLC: it must prove that it is the one that was meant."""

    trust: Path | None = None
    """A file or folder of certificates of the authorities (or PLCs) that are trusted."""
    pinned: Path | None = None
    """Instead of `trust`: the PLC's own certificate; only this very one is accepted, whatever name it bears."""
    server_name: str = Field("", max_length=253)
    """The name or address that the PLC's certificate must bear; empty: that of `host`."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.trust is None) == (self.pinned is None):
            raise ValueError(
                "needs either `trust` (authorities, with the name checked) or `pinned` (the PLC's certificate)"
            )
        if self.pinned is not None and self.server_name:
            raise ValueError("has both `pinned` and `server_name`; a pinned certificate is accepted under any name")
        return self
