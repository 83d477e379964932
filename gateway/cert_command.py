"""`gateway cert`: certificates for everything that talks TLS or OPC UA. `certs`, slow to import, comes when needed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gateway.certs import Shown

Command = Callable[[argparse.Namespace], int]

_NAMELESS = "no --host was given: a master that checks names will refuse it"
_NAMELESS_OPCUA = "no --host was given: right for a client; for a server give the names and addresses it is reached by"
EPILOG = """\
a plant's own authority, and what it signs:
  gateway cert new plant-ca --authority --out certs
  gateway cert new gateway --signed-by certs/plant-ca.pem --host 192.168.0.10 --out certs
  gateway cert new plc1 --signed-by certs/plant-ca.pem --host 192.168.0.20 --role operator --out certs
  gateway cert trust certs/plant-ca.pem --into certs/trust --authority
an OPC UA application, and the clients that it turned away:
  gateway cert new gateway --opcua --host 192.168.0.10 --out certs
  gateway cert list data/opcua/trust
  gateway cert trust data/opcua/trust/rejected/UaExpert-1f3a.der --into data/opcua/trust
"""
AUTHORITY_DAYS, DEVICE_DAYS, CRL_DAYS = 3650, 1095, 365


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cert` and its commands to the command line."""
    text = "make, show and trust certificates (Modbus/TCP Security, OPC UA)"
    parser = commands.add_parser(
        "cert", help=text, description=text, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    below = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_new(_command(below, "new", "make a key and a certificate: self-signed, or signed by an authority", _new))
    show = _command(below, "show", "print certificates, or those that a configuration names and trusts", _show)
    show.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="certificate (PEM, DER) or configuration (YAML)"
    )
    trust = _command(below, "trust", "check a certificate of another device and put it into a trust folder", _trust)
    trust.add_argument("file", type=Path, metavar="FILE")
    trust.add_argument("--into", type=Path, required=True, metavar="DIR", help="the folder that `trust` names")
    trust.add_argument("--authority", action="store_true", help="trust everybody whom this certificate signs")
    text = "write the revocation list (CRL) of an authority, with those who are not trusted any more"
    crl = _command(below, "crl", text, _crl)
    crl.add_argument(
        "authority", type=Path, metavar="FILE", help="the authority's certificate; its key stands beside it"
    )
    crl.add_argument("--revoke", action="append", default=[], type=Path, metavar="FILE", help="may be repeated")
    crl.add_argument("--days", type=float, default=CRL_DAYS, metavar="N", help=f"how long it is valid ({CRL_DAYS})")
    crl.add_argument("--out", type=Path, required=True, metavar="FILE", help="the list; one that is there is continued")
    text = "print what an OPC UA trust folder trusts, and whom it turned away"
    _command(below, "list", text, _list).add_argument("folder", type=Path, metavar="DIR")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, command: Command
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=command)
    return parser


def _add_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="common name, and that of the files NAME.pem and NAME.key")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for both files")
    parser.add_argument(
        "--host", action="append", default=[], metavar="HOST", help="name or address it is reached by; may be repeated"
    )
    parser.add_argument("--uri", action="append", default=[], metavar="URI", help="application URI (OPC UA)")
    parser.add_argument("--role", default="", metavar="ROLE", help="its role on Modbus/TCP Security, such as operator")
    parser.add_argument(
        "--days",
        type=float,
        metavar="N",
        help=f"how long it is valid (default {DEVICE_DAYS}, authority {AUTHORITY_DAYS})",
    )
    parser.add_argument(
        "--key", choices=("ec", "rsa"), default="ec", help="P-256 (default), or RSA 2048 for older PLCs"
    )
    parser.add_argument("--opcua", action="store_true", help="for an OPC UA application: RSA, with an application URI")
    parser.add_argument("--authority", action="store_true", help="make an authority that signs others")
    parser.add_argument(
        "--signed-by", type=Path, metavar="FILE", help="the authority's certificate; its key stands beside it"
    )
    parser.add_argument("--force", action="store_true", help="overwrite")


def _new(options: argparse.Namespace) -> int:
    from gateway import certs

    days = options.days if options.days is not None else AUTHORITY_DAYS if options.authority else DEVICE_DAYS
    wish = certs.Wish(
        options.name,
        options.host,
        options.uri,
        options.role,
        days=days,
        key=options.key,
        authority=options.authority,
        opcua=options.opcua,
    )
    try:
        signer = certs.load_signer(options.signed_by) if options.signed_by else None
        made = certs.make(wish, signer)
        certificate, key = certs.save(made, options.out, force=options.force)
    except certs.CertError as error:
        return _refuse(error)
    _print(certificate, certs.shown(made.certificate), sys.stdout)
    sys.stdout.write(f"  private key  {key} (keep it secret)\n")
    if not (options.host or options.authority):
        print(_NAMELESS_OPCUA if options.opcua else _NAMELESS, file=sys.stderr)
    return 0


def _show(options: argparse.Namespace) -> int:
    from cryptography import x509

    from gateway import certs

    status = 0
    for path, title in _named(options.files):
        if isinstance(title, Exception):
            status = _refuse(title)
            continue
        try:
            for der in certs.read(path):
                _print(path, certs.shown(x509.load_der_x509_certificate(der)), sys.stdout, title)
        except certs.CertError as error:
            status = _refuse(error)
    return status


def _named(files: list[Path]) -> Iterator[tuple[Path, str | Exception]]:
    """Each certificate file with a title, or the error that stands in its place."""
    from gateway import config
    from protocols.link import LinkError
    from protocols.modbus.security import trusted

    for file in files:
        if file.suffix.lower() not in (".yaml", ".yml"):
            yield file, ""
            continue
        try:
            loaded = config.load(file)
        except config.ConfigError as error:
            yield file, error
            continue
        links: list[tuple[str, object]] = [(station.name, station.link) for station in loaded.stations]
        links += [(device.name, device.link) for device in loaded.devices]
        for name, link in links:
            tls = getattr(link, "tls", None)
            if tls is None:
                continue
            yield tls.certificate, f"{name}: our own"
            try:
                places = dict.fromkeys(path for path, _ in trusted(tls.trust or tls.pinned))
            except LinkError as error:
                yield tls.certificate, error
                continue
            for path in places:
                yield path, f"{name}: trusted"


def _trust(options: argparse.Namespace) -> int:
    from gateway import certs

    try:
        target, facts = certs.trust(options.file, options.into, authority=options.authority)
    except certs.CertError as error:
        return _refuse(error)
    _print(target, facts, sys.stdout, "trusted from now on")
    sys.stdout.write("compare the fingerprint with the one that the device shows\n")
    return 0


def _crl(options: argparse.Namespace) -> int:
    from gateway import certs, revocations

    try:
        serials = revocations.revoke(options.authority, options.revoke, options.out, days=options.days)
    except certs.CertError as error:
        return _refuse(error)
    sys.stdout.write(f"{options.out}: {len(serials)} revoked; valid for {options.days:g} days, then write it anew\n")
    return 0


def _list(options: argparse.Namespace) -> int:
    from cryptography import x509

    from gateway import certs

    kinds = (("trusted", "trusted"), ("issuers", "known as authority, not trusted"), ("rejected", "turned away"))
    if not (options.folder / "trusted").is_dir():
        return _refuse(
            certs.CertError(f"{options.folder}: is no OPC UA trust folder; give that which the gateway made")
        )
    status = 0
    for name, title in kinds:
        for path in sorted((options.folder / name).glob("*")):
            try:
                for der in certs.read(path):
                    _print(path, certs.shown(x509.load_der_x509_certificate(der)), sys.stdout, title)
            except certs.CertError as error:
                status = _refuse(error)
    for path in sorted((options.folder / "crl").glob("*")):
        sys.stdout.write(f"{path} (revocation list)\n")
    return status


def _print(path: Path, facts: Shown, out: TextIO, title: str = "") -> None:
    from gateway.log import plain

    left = facts.days_left(datetime.now(UTC))
    rest = f"{left:.0f} days left" if left >= 0 else "EXPIRED"
    rows = (
        ("subject", facts.subject + (" (an authority)" if facts.authority else "")),
        ("signed by", facts.issuer),
        ("names", ", ".join(facts.names) or "none"),
        ("role", facts.role or "none"),
        ("valid", f"{facts.begins:%Y-%m-%d} to {facts.ends:%Y-%m-%d}, {rest}"),
        ("key", facts.key),
        ("sha256", facts.sha256),
    )
    out.write(f"{path}{f' ({title})' if title else ''}\n")
    out.writelines(f"  {name:12} {plain(text)}\n" for name, text in rows)


def _refuse(error: Exception) -> int:
    print(error, file=sys.stderr)
    return 1
