"""The configuration of the OPC UA server: where it listens, how it proves who it is, and who may do what."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from protocols.modbus.admission import ANY, Access, loopback, network
from protocols.settings import Host, Settings

Policy = Literal["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
RoleName = Literal["viewer", "operator", "engineer"]
POLICIES: tuple[Policy, ...] = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
_HASH = re.compile(r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}")
MEMORY_KIB, ROUNDS = 262_144, 10
"""The most that a password's hash may cost: whoever logs in makes the gateway pay it."""
EVERYWHERE = ("", "0.0.0.0", "::", "*")  # noqa: S104 - compared, not bound


def _listed(value: Any) -> Any:
    """`any` alone is a word, all else a list."""
    if value == "any":
        return ANY
    return tuple(value) if isinstance(value, list) else value


def _hash(text: str) -> str:
    found = _HASH.fullmatch(text)
    if not found:
        raise ValueError("is no argon2id hash; make the lines of a user with `gateway opcua user NAME --role ROLE`")
    memory, rounds, _ = map(int, found.groups())
    if not 8 <= memory <= MEMORY_KIB or not 1 <= rounds <= ROUNDS:
        raise ValueError(f"costs more than {MEMORY_KIB} KiB or {ROUNDS} rounds, or nothing; make it anew")
    return text


def _uri(text: str) -> str:
    if text and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,200}", text):
        raise ValueError(f"{text!r} is no URI; give one such as urn:plant:line1:gateway")
    return text


Allowed = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"const": "any", "type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class OpcUaUser(Settings):
    """Somebody who may log in: by a password or by a certificate of their own."""

    name: str = Field(min_length=1, max_length=64)
    role: RoleName = "viewer"
    """viewer reads; operator also drives (commands, methods); engineer also writes settings."""
    password_hash: Annotated[str, AfterValidator(_hash)] | None = None
    """As `gateway opcua user` prints it; the password itself stands nowhere."""
    certificate: Path | None = None
    """The user's certificate (PEM or DER): this very one, whoever signed it."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.password_hash is None) == (self.certificate is None):
            raise ValueError(f"user {self.name!r} needs either a password_hash or a certificate")
        return self


class OpcUaLimits(Settings):
    """How much clients may take, each and together; beyond it they are refused, and nobody else notices."""

    connections: int = Field(64, ge=1, le=1000)
    """In all; each address in plc has 8 more."""
    connections_per_address: int | None = Field(None, ge=1, le=1000)
    """Left out: 16, and any number for this computer itself."""
    connects_per_second: float | None = Field(None, ge=0.1, le=1000)
    """Of one address that is not in plc. Left out: 20, and any number for this computer."""
    sessions: int = Field(50, ge=1, le=1000)
    sessions_per_address: int = Field(20, ge=1, le=1000)
    subscriptions: int = Field(200, ge=1, le=10_000)
    subscriptions_per_session: int = Field(20, ge=1, le=1000)
    items: int = Field(20_000, ge=1, le=1_000_000)
    """Monitored items in all."""
    items_per_session: int = Field(5_000, ge=1, le=1_000_000)
    queue: int = Field(1_000, ge=1, le=100_000)
    """Values that wait for a client in one monitored item; then the oldest goes, and the overflow bit says so."""
    operations: int = Field(1_000, ge=10, le=100_000)
    """Nodes in one request."""
    message_kib: int = Field(4_096, ge=64, le=65_536)
    """KiB of one request, once somebody has logged in; 64 before."""
    chunks: int = Field(100, ge=1, le=4_096)
    """Chunks of one request."""
    shortest_interval_ms: float = Field(10.0, ge=1, le=10_000)
    """Milliseconds of the shortest publishing interval."""
    hello_s: float = Field(5.0, gt=0, le=60)
    """Seconds to say hello, and as long again to open the secure channel."""
    session_s: float = Field(30.0, gt=0, le=600)
    """Seconds that a connection may be there without a session."""
    frame_s: float = Field(10.0, gt=0, le=600)
    """Seconds that a message may take to arrive, or an answer to be read."""
    session_timeout_s: float = Field(120.0, ge=10, le=3600)
    """Seconds that a session may be silent, at most; a client may ask for less."""


class OpcUaServerConfig(Settings):
    """The OPC UA server, which shows all stations.

    Left as it is it makes itself a certificate, offers encryption only, and lets nobody in who is not named.
    """

    host: str = "127.0.0.1"
    """Address of this computer to listen on; 0.0.0.0 for all."""
    port: int = Field(4840, ge=0, le=65535)
    """4840 is the standard one; 0 lets the system choose."""
    names: tuple[Host, ...] = Field((), max_length=16)
    """Names and addresses by which clients reach it, the best first. Left out: host, or this computer's name."""
    application_name: str = Field("Vision PLC gateway", min_length=1, max_length=100)
    application_uri: Annotated[str, AfterValidator(_uri)] = ""
    """Left out: that of its certificate; of a self-made one, urn:NAME:vision-plc-gateway with this computer's name."""
    certificate: Path | None = None
    """Its certificate (PEM, RSA). Left out: one of its own making, in opcua/own of data_dir."""
    key: Path | None = None
    """The private key of the certificate (PEM, not encrypted)."""
    trust: Path | None = None
    """Folder with trusted, issuers, crl and rejected. Left out: opcua/trust of data_dir."""
    crl: Literal["required", "optional"] = "required"
    """Whether a certificate that an authority signed is refused when no valid CRL of that authority is there."""
    policies: tuple[Policy, ...] = Field(POLICIES, min_length=1)
    sign_only: bool = False
    """Offer each policy also without encryption: nobody can change messages then, but everybody can read them."""
    allow_unencrypted: bool = False
    """Offer SecurityPolicy None as well: to read only, and without a password, which others could read."""
    anonymous: bool = False
    """Let everybody whose application is trusted in as viewer, without a name."""
    users: tuple[OpcUaUser, ...] = Field((), max_length=200)
    allow: Allowed = ()
    """Who may connect: addresses and networks as 192.168.3.0/24, or the word any; not needed for 127.0.0.1."""
    plc: tuple[str, ...] = ()
    """Addresses of the PLCs: allowed, and never turned away for others."""
    publish_at_once: bool = True
    """Send events and results when they are there, and not at the end of the client's publishing interval."""
    limits: OpcUaLimits = Field(default_factory=OpcUaLimits)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError(
                "certificate and key belong together; make both with "
                "`gateway cert new NAME --opcua --host HOST --out DIR`, or leave out both"
            )
        if self.allow_unencrypted and not self.anonymous:
            raise ValueError(
                "allow_unencrypted lets nobody in as long as anonymous is false: passwords are not taken in clear; "
                "add `anonymous: true`, or leave out allow_unencrypted"
            )
        twice = {user.name for user in self.users if [u.name for u in self.users].count(user.name) > 1}
        if twice:
            raise ValueError(f"users has {min(twice)!r} twice; give each a name of their own")
        return self

    @model_validator(mode="after")
    def _says_who_may_connect(self) -> Self:
        for text in () if self.allow == ANY else self.allow:
            if text == "any":
                raise ValueError("allow has the word any beside others; write it alone, or leave it out")
            network(text)
        for text in self.plc:
            if network(text).num_addresses != 1:
                raise ValueError(f"{text!r} in plc is a network; give the address of each PLC")
        if not self.allow and not loopback(self.host):
            raise ValueError(
                f"{self.host}:{self.port} can be reached from other computers and allow does not say from which; add "
                "`allow: [192.168.3.10]` with the addresses or networks of your clients, or `allow: any`"
            )
        return self

    @property
    def place(self) -> str:
        """Where it listens."""
        return f"{self.host}:{self.port}"

    def access(self) -> Access:
        """Who may connect, and how often."""
        limits = self.limits
        return Access(self.allow or ANY, self.plc, limits.connections_per_address, limits.connects_per_second)

    def warnings(self) -> list[str]:
        """What somebody should know before this server is started, one sentence each."""
        found = []
        if self.allow_unencrypted:
            found.append(
                f"opcua: {self.place} offers SecurityPolicy None: everybody who reaches it reads all values, and "
                "others can read along; leave out allow_unencrypted as soon as all clients can encrypt"
            )
        if not self.users and not self.anonymous:
            found.append("opcua: nobody can log in; add users (`gateway opcua user NAME --role operator`) or anonymous")
        if self.sign_only:
            found.append(f"opcua: {self.place} offers policies without encryption (sign_only): others can read along")
        return found


def place_paths(section: Any, place: Callable[[Any, Any], None]) -> None:
    """Make the paths of an `opcua:` section absolute: `place(mapping, key)` for each that is there.

    `section` is the mapping as it was read from the file, before it was checked.
    """
    if not isinstance(section, dict):
        return
    for key in ("certificate", "key", "trust"):
        if section.get(key) is not None:
            place(section, key)
    users = section.get("users")
    for user in users if isinstance(users, list) else ():
        if isinstance(user, dict) and user.get("certificate") is not None:
            place(user, "certificate")
