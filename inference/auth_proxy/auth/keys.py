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

from product_classifier.observability import get_logger

BITS = 2048
OWNER_ONLY = 0o600
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
        self._path = path
        self._verify_after_retirement_s = verify_after_retirement_s
        self._file_version: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}
        with self._locked():
            if not path.exists():
                self._write([_new_key()])
        self._refresh()

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
            old = [] if revoke else [_retire(key, now) for key in self._read() if self._valid(key)]
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

    def _refresh(self) -> None:
        status = self._path.stat()
        version = (status.st_mtime_ns, status.st_ino)
        if version == self._file_version:
            return
        if status.st_mode & 0o077:
            _log.warning("key_file_permissions_restricted", file=str(self._path))
            self._path.chmod(OWNER_ONLY)
        self._keys = {key.kid: key for key in self._read()}
        self._file_version = version

    def _read(self) -> list[Key]:
        return [_parse(row) for row in orjson.loads(self._path.read_bytes())["keys"]]

    def _write(self, keys: list[Key]) -> None:
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps({"keys": [_row(key) for key in keys]}))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, OWNER_ONLY)
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
    pem = row["pem"].encode()
    if "PRIVATE" in row["pem"]:
        private = load_pem_private_key(pem, None)
        assert isinstance(private, RSAPrivateKey)  # noqa: S101 - this module wrote the file
        return Key(row["kid"], private.public_key(), private, row["retired"])
    public = load_pem_public_key(pem)
    assert isinstance(public, RSAPublicKey)  # noqa: S101 - this module wrote the file
    return Key(row["kid"], public, None, row["retired"])


def _public_jwk(key: Key) -> dict[str, Any]:
    jwk = RSAAlgorithm.to_jwk(key.public, as_dict=True)
    return {name: jwk[name] for name in ("kty", "n", "e")}
