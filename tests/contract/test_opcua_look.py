"""`gateway opcua browse` and `read` against a server in clear and one with certificates: what they show and refuse."""

import asyncio
import contextlib
import io
import logging
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway import certs
from gateway.opcua import look as opcua_look
from tests.contract.opcua_plain import Served, served
from tests.contract.test_opcua_plain import SHOWN

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Seen:
    """How a command ended and what it said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


async def gateway(*arguments: object, **variables: str) -> Seen:
    words = [str(argument) for argument in arguments]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        "opcua",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **variables},
    )
    async with asyncio.timeout(50):
        out, err = await process.communicate()
    assert "Traceback" not in err.decode()
    return Seen(process.returncode or 0, out.decode(), err.decode())


async def look(*arguments: object) -> Seen:
    """The same without a process of its own: what the command becomes is called in a thread beside the server."""
    out, err, level = io.StringIO(), io.StringIO(), logging.getLogger("asyncua").level
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            ThreadPoolExecutor() as threads,
        ):
            words = [str(argument) for argument in arguments]
            async with asyncio.timeout(50):
                code = await asyncio.get_running_loop().run_in_executor(threads, opcua_look.main, words)
    finally:
        logging.getLogger("asyncua").setLevel(level)
    return Seen(code, out.getvalue(), err.getvalue())


def made(folder: Path, name: str) -> tuple[Path, Path]:
    wish = certs.Wish(name, ["127.0.0.1"], [f"urn:test:{name}"], "", days=2, key="rsa", authority=False)
    return certs.save(certs.make(wish, None), folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clear() -> AsyncIterator[Served]:
    async with served() as found:
        found.face.publish(SHOWN)
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secure(keys: dict[str, tuple[Path, Path]]) -> AsyncIterator[Served]:
    async with served(certificate=keys["server"]) as found:
        found.face.publish(SHOWN)
        yield found


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: made(folder, name) for name in ("server", "client", "stranger")}


async def test_a_tree_shows_names_types_and_ids_down_to_its_depth(clear: Served) -> None:
    seen = await gateway("browse", clear.url, "--insecure", "--node", "ns=2;s=Stations", "--depth", 2)
    assert seen.code == 0
    assert "    2:Result  [Object]  ns=2;s=press-1.Result\n" in seen.out
    assert "2:Driver  [String]  ns=2;s=press-1.Driver" in seen.out
    assert "RESULT_SEQ" not in seen.out


async def test_a_tree_ends_at_its_limit_and_says_so(clear: Served) -> None:
    seen = await look("browse", clear.url, "--insecure", "--depth", 20, "--limit", 7)
    assert len(seen.out.splitlines()) == 8
    assert "--limit" in seen.err


async def test_values_show_status_times_and_the_fields_of_a_structure(clear: Served) -> None:
    nodes = ("ns=2;s=press-1.ResultStructure", "ns=2;s=press-1.Driver", "i=1")
    seen = await gateway("read", clear.url, "--insecure", *nodes)
    assert seen.code == 0
    whole, rest = seen.out.split("ns=2;s=press-1.Driver")
    assert "status       Good\n" in whole
    assert "source time" in whole
    assert "PART_ID      9\n" in whole
    assert "InspectionResult" in whole
    assert "BadWaitingForInitialData: " in rest
    assert "Boolean" in rest


async def test_a_node_that_is_not_there_and_one_that_is_none(clear: Served) -> None:
    seen = await look("read", clear.url, "--insecure", "ns=2;s=nope")
    assert (seen.code, "BadNodeIdUnknown" in seen.out) == (0, True)
    seen = await look("read", clear.url, "--insecure", "nope=3")
    assert (seen.code, seen.out) == (1, "")
    assert "ns=2;s=NAME" in seen.err


async def test_changes_are_shown_while_they_happen(clear: Served) -> None:
    seen = await look("read", clear.url, "--insecure", "ns=2;s=press-1.Result.PART_ID", "--watch", 1)
    assert seen.code == 0
    assert seen.out.splitlines()[-1].endswith("ns=2;s=press-1.Result.PART_ID  Good  9")


async def test_nothing_goes_in_clear_unasked(clear: Served) -> None:
    seen = await look("browse", clear.url)
    assert (seen.code, seen.out) == (1, "")
    assert "--insecure" in seen.err
    seen = await look("browse", clear.url, "--insecure", "--user", "plc")
    assert (seen.code, seen.out) == (1, "")
    assert "password in clear" in seen.err


async def test_nobody_there_is_one_sentence() -> None:
    seen = await look("browse", "opc.tcp://127.0.0.1:9", "--insecure")
    assert seen.code == 1
    assert "nothing listens there" in seen.err


def fingerprint(path: Path) -> str:
    return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex()


def ours(keys: dict[str, tuple[Path, Path]]) -> tuple[object, ...]:
    return ("--certificate", keys["client"][0], "--key", keys["client"][1])


async def test_a_server_is_trusted_by_its_certificate_or_its_fingerprint(
    secure: Served, keys: dict[str, tuple[Path, Path]]
) -> None:
    certificate = keys["server"][0]
    login, variable = ("--user", "viewer", "ns=2;s=press-1.Result.PART_ID"), {"OPCUA_PASSWORD": "x"}
    for trust in (("--trust", certificate), ("--accept-fingerprint", fingerprint(certificate))):
        seen = await gateway("read", secure.url, *ours(keys), *trust, *login, **variable)
        assert (seen.code, seen.err) == (0, "")
        assert "value        9\n" in seen.out


async def test_a_server_that_is_not_trusted_is_not_looked_at(
    secure: Served, keys: dict[str, tuple[Path, Path]]
) -> None:
    seen = await look("browse", secure.url, *ours(keys))
    assert (seen.code, seen.out) == (1, "")
    assert fingerprint(keys["server"][0]).upper() in seen.err
    for wrong in (("--trust", keys["stranger"][0]), ("--accept-fingerprint", fingerprint(keys["stranger"][0]))):
        seen = await look("browse", secure.url, *ours(keys), *wrong)
        assert (seen.code, seen.out) == (1, "")


async def test_a_secure_server_gives_nothing_in_clear(secure: Served, keys: dict[str, tuple[Path, Path]]) -> None:
    seen = await look("browse", secure.url, "--insecure")
    assert seen.code == 1
    assert "leave --insecure out" in seen.err
    seen = await look("browse", secure.url)
    assert seen.code == 1
    assert "gateway cert new" in seen.err
    seen = await look("browse", secure.url, *ours(keys), "--policy", "Aes256_Sha256_RsaPss")
    assert seen.code == 1
    assert "Basic256Sha256 (sign_and_encrypt)" in seen.err


async def test_a_wrong_user_is_told_so(secure: Served, keys: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("word\n")
    trust = ("--trust", keys["server"][0])
    seen = await look("browse", secure.url, *ours(keys), *trust, "--user", "nobody", "--password-file", secret)
    assert seen.code == 1
    assert "refuses this user or password" in seen.err
    seen = await look("browse", secure.url, *ours(keys), *trust, "--user", "viewer")
    assert seen.code == 1
    assert "OPCUA_PASSWORD" in seen.err
