"""Passwords as argon2id hashes.

Source: RFC 9106; the cost is that of the OWASP Password Storage Cheat Sheet, Argon2id.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

MEMORY_KIB, ROUNDS, LANES = 19_456, 2, 1


def hashed(password: str) -> str:
    """The hash of a password as it stands in the configuration; about 40 ms."""
    kdf = Argon2id(salt=os.urandom(16), length=32, iterations=ROUNDS, lanes=LANES, memory_cost=MEMORY_KIB)
    return str(kdf.derive_phc_encoded(password.encode()))


def matches(password: str, known: str) -> bool:
    """Whether this is the password of that hash; as long as `hashed` takes, whatever the answer."""
    try:
        Argon2id.verify_phc_encoded(password.encode(), known)
    except (InvalidKey, ValueError):
        return False
    return True
