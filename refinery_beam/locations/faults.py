"""Turns the failures of object stores into an OSError with a clean text, and that into a StoreError with a remedy.

Every library of a store has its own exceptions, and puts addresses and signatures into their texts. This module takes out both.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from refinery_beam.errors import StoreError
from refinery_beam.masking import mask, remember_secret

_ERRNO: dict[type[OSError], int] = {
    FileNotFoundError: errno.ENOENT,
    FileExistsError: errno.EEXIST,
    NotADirectoryError: errno.ENOTDIR,
    IsADirectoryError: errno.EISDIR,
}
_QUERY = re.compile(r"\?[^\s'\")]*")


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Inside, whatever a store's library raises is raised again as an OSError with a clean text."""
    try:
        yield
    except StoreError:
        raise
    except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise type(error)(error.errno or _ERRNO[type(error)], _clean(error), url) from None
    except Exception as error:
        raise OSError(_number(error), _clean(error), url) from None


def fault(error: OSError, doing: str, location: str) -> StoreError:
    """The StoreError, with a remedy, for an OSError of a store. Callers use it as `locations.fault`."""
    scheme = location.partition("://")[0]
    reason = error.strerror or str(error) or type(error).__name__

    def store_error(*, code: str, reason: str = reason, **words: str) -> StoreError:
        return StoreError(f"cannot {doing} {location}: {reason}", code=code, at=location, value=reason, **words)

    if isinstance(error, FileNotFoundError):
        return store_error(code="store-missing", reason="there is no such bucket or object")
    if error.errno in (errno.EACCES, errno.EPERM):
        return store_error(code="store-permission", scheme=scheme)
    if error.errno == errno.EHOSTUNREACH:
        return store_error(code="store-unreachable", scheme=scheme)
    return store_error(
        code="store-io",
        rule="a location is one that this machine can reach and may use",
        remedy="look whether the store is well, and run again: nothing was promoted that is not whole",
    )


def _number(error: Exception) -> int:
    """The errno that fits the exception best; libraries have their own classes for what an errno says."""
    name, text = type(error).__name__, str(error)
    if isinstance(error, PermissionError) or "Forbidden" in text or getattr(error, "code", None) in (401, 403, "401", "403"):
        return errno.EACCES
    if "Credentials" in name or name in ("DefaultCredentialsError", "RefreshError", "GoogleAuthError"):
        return errno.EACCES
    if "Connect" in name or name in ("FSTimeoutError", "TimeoutError", "ProxyError"):
        return errno.EHOSTUNREACH
    return (error.errno if isinstance(error, OSError) else None) or errno.EIO


def _clean(error: Exception) -> str:
    """The first line of an error's text, without query strings (which hold signatures) and without any option's value."""
    _remember_options()
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return mask(_QUERY.sub("", mask(text)))[:300]


def _remember_options() -> None:
    """Options come from the environment too, where fsspec and the libraries of stores look for them."""
    from fsspec.config import conf

    remember_secret(conf)
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"):
        remember_secret(os.environ.get(name))
