"""Signing keys of the embedded issuer: one signs, retired ones verify until their tokens expire."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from jwt.algorithms import RSAAlgorithm

from inference.auth_proxy.auth.private_files import OWNER_ONLY, StateFileUnusable, reason_of, replace_file, restrict
from product_classifier.observability import get_logger

BITS = 2048
UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm)
"""Errors of reading a file that is missing, torn or not a key file."""
_log = get_logger()


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair; a retired one has no private key."""

    kid: str
    public: RSAPublicKey
    private: RSAPrivateKey | None
    retired: float | None


class KeyRing:
    """Keys in one file that only its owner can read; another process may rotate them at any time."""

    def __init__(self, path: Path, verify_after_retirement_s: float) -> None:
        """Read the keys, or create the first one if there is no file.

        Raises:
            StateFileUnusable: If the file exists and cannot be used, or cannot be created.
        """
        self._path = path
        self._verify_after_retirement_s = verify_after_retirement_s
        self._file_version: tuple[int, int] | None = None
        self._unusable_version: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}
        self.problem = ""
        """Why the file cannot be used now; the keys read before are used meanwhile."""
        with self._locked():
            if not path.exists():
                self._write([_new_key()])
        self._refresh()
        if self.problem:
            raise self._unusable(self.problem)

    def signing(self) -> Key:
        """Return the key that signs."""
        self._refresh()
        return next(key for key in self._keys.values() if key.private is not None)

    def find(self, kid: str) -> Key | None:
        """Return the key with this id; None if it is unknown or its last token has expired."""
        self._refresh()
        key = self._keys.get(kid)
        return key if key and self._valid(key) else None

    def rotate(self, *, revoke: bool = False) -> str:
        """Sign with a new key and return its id.

        The previous key verifies until its tokens have expired, unless `revoke`.
        """
        with self._locked():
            now = time.time()
            new = _new_key()
            try:
                old = [] if revoke else [_retire(key, now) for key in self._read() if self._valid(key)]
            except UNREADABLE as error:
                raise self._unusable(reason_of(error)) from error
            self._write([new, *old])
        return new.kid

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """Return the public keys as a JSON Web Key Set (RFC 7517)."""
        self._refresh()
        keys = [key for key in self._keys.values() if self._valid(key)]
        common = {"use": "sig", "alg": "RS256"}
        return {"keys": [{"kid": key.kid, **common, **_public_jwk(key)} for key in keys]}

    def _valid(self, key: Key) -> bool:
        return key.retired is None or time.time() < key.retired + self._verify_after_retirement_s

    def check(self) -> bool:
        """Return whether the file can be used; while it cannot, the keys that were read before are used."""
        self._refresh()
        return not self.problem

    def _refresh(self) -> None:
        """Read the file if it has changed; while that fails, keep the keys that were read before."""
        try:
            status = self._path.stat()
        except OSError as error:
            self._report(reason_of(error))
            return
        version = (status.st_mtime_ns, status.st_ino)
        if version == self._file_version:
            self._report("")
            return
        if version == self._unusable_version:
            return
        try:
            restrict(self._path)
            keys = self._read()
        except UNREADABLE as error:
            self._unusable_version = version
            self._report(reason_of(error))
            return
        self._keys = {key.kid: key for key in keys}
        self._file_version, self._unusable_version = version, None
        self._report("")

    def _report(self, problem: str) -> None:
        """Log a problem, or its end, once."""
        if problem and problem != self.problem and self._keys:  # at the start it is raised
            _log.error("key_file_unusable", file=str(self._path), reason=problem, keys_in_use=len(self._keys))
        elif self.problem and not problem:
            _log.info("key_file_recovered", file=str(self._path))
        self.problem = problem

    def _unusable(self, reason: str) -> StateFileUnusable:
        return StateFileUnusable(
            f"signing keys {str(self._path)!r}: {reason}; restore the file from a backup, or move it away, which"
            " creates a new key and ends all logins"
        )

    def _read(self) -> list[Key]:
        rows = orjson.loads(self._path.read_bytes())["keys"]
        keys = [_parse(row) for row in rows]
        if not any(key.private is not None for key in keys):
            raise ValueError("no key of the file can sign")
        return keys

    def _write(self, keys: list[Key]) -> None:
        try:
            replace_file(self._path, orjson.dumps({"keys": [_row(key) for key in keys]}))
        except OSError as error:
            raise StateFileUnusable(
                f"signing keys {str(self._path)!r}: cannot be written: {reason_of(error)}; check disk and folder"
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, OWNER_ONLY)
        except OSError as error:
            raise StateFileUnusable(
                f"signing keys {str(self._path)!r}: cannot be locked: {reason_of(error)}; check disk and folder"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _new_key() -> Key:
    private = generate_private_key(public_exponent=65537, key_size=BITS)
    return Key(secrets.token_urlsafe(12), private.public_key(), private, None)


def _retire(key: Key, now: float) -> Key:
    return replace(key, private=None, retired=now if key.retired is None else key.retired)


def _row(key: Key) -> dict[str, Any]:
    if key.private is not None:
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    else:
        pem = key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {"kid": key.kid, "pem": pem.decode(), "retired": key.retired}


def _parse(row: dict[str, Any]) -> Key:
    """Return the key of a row; raise one of `UNREADABLE` for anything else."""
    kid, pem, retired = row["kid"], row["pem"].encode(), row["retired"]
    if not isinstance(kid, str) or not isinstance(retired, int | float | None):
        raise TypeError("kid must be text, and retired a time or null")
    private = load_pem_private_key(pem, None) if b"PRIVATE" in pem else None
    public = load_pem_public_key(pem) if private is None else private.public_key()
    if not isinstance(private, RSAPrivateKey | None) or not isinstance(public, RSAPublicKey):
        raise TypeError("pem must be an RSA key")
    return Key(kid, public, private, retired)


def _public_jwk(key: Key) -> dict[str, Any]:
    jwk = RSAAlgorithm.to_jwk(key.public, as_dict=True)
    return {name: jwk[name] for name in ("kty", "n", "e")}
