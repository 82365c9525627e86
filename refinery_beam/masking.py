"""Takes secrets out of whatever is printed or stored.

Three things are secrets: the user info of a URL (``user:password@``, and a user alone, which may be a token), its signature (``?sig=...``),
and the values that a caller gave as options of stores. And the value of a variable that a location begins with is shown by the variable's
name, since a recipe that says ``${env:DATA}`` is one that does not want to say more.

Masking comes before anything is cut to a length: a part of a secret is one. Every error masks all its words when it is made, so each way
out (stderr, ``--json``, the journal, a worker's message) has them masked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

HIDDEN = "***"

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|credential|authorization|connection_?string|cookie|signature|(api|access|account|private|shared)_?key",
    re.I,
)
_OPTION_NAME = re.compile(r"(storage[-_]options?|headers?)$", re.I)
_SECRET_QUERY = re.compile(r"token|sig|secret|password|key|credential|auth", re.I)

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>[^\s'\"<>]*)")
_CONTAINERS = ("abfs", "abfss", "wasb", "wasbs", "adl", "az")
"""Schemes whose word before the @ is a container, and no user."""
_KEYS = ("s3", "s3a", "gs", "gcs", "memory", *_CONTAINERS)
"""Schemes whose names may hold ? and #, which begin no query there."""
_PAIR = re.compile(r"(?P<name>[?&#;][^=&\s#]*=)(?P<value>[^&\s#;]+)")

SHORTEST = 4
"""A value of an option that is shorter is no secret, and would be found in every other word."""

_PUBLIC = re.compile(r"^(endpoint(_url)?|region(_name)?|project|profile|use_ssl|anon|verify|addressing_style|signature_version)$")
"""Options of stores that say where and how, and are no secrets themselves."""

_values: set[str] = set()
_variables: dict[str, str] = {}


def remember_secret(value: Any, *, name: str = "") -> None:
    """Mask a value from now on in this process, wherever it comes up; of mappings and lists, what is in them. Names of public options leave
    their values as they are.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            remember_secret(item, name=str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            remember_secret(item, name=name)
    elif isinstance(value, str) and len(value) >= SHORTEST and not _PUBLIC.match(name) and value.lower() not in ("true", "false", "none"):
        _values.update((value, quote(value, safe=""), *([word] if len(word := value.partition(" ")[2].strip()) >= SHORTEST else ())))


def remember_words(words: Iterable[str]) -> None:
    """Mask the secrets of a command line from now on: the values of ``--storage-option``, and of options whose names speak of a secret."""
    before = ""
    for word in words:
        name, _, value = word.partition("=") if word.startswith("-") else (before, "", word)
        if value and _OPTION_NAME.search(name):
            option, _, rest = value.partition("=")
            remember_option(option, rest)
        elif value and _SECRET_NAME.search(name.replace("-", "_")):
            remember_secret(value)
        before = word if word.startswith("-") and "=" not in word else ""


def remember_option(name: str, value: str) -> None:
    """Mask the value of an option of a store, ``protocol.name``, from now on; of one that is JSON, what is in it."""
    try:
        parsed = json.loads(value) if value[:1] in ("{", "[") else value
    except ValueError:
        parsed = value
    remember_secret(parsed, name=name.rpartition(".")[2])


def remember_variable(name: str, value: str) -> None:
    """Show a location that a variable gave by the variable's name from now on; the root of the file system is shown as it is."""
    if value.rstrip("/"):
        _variables[name] = value.rstrip("/")


def forget_secrets() -> None:
    """Forget everything that was remembered. For tests, which are many processes in one."""
    _values.clear()
    _variables.clear()


def mask(text: str) -> str:
    """A text without secrets.

    >>> mask("cannot read http://me:pw@host/a?x=1&sig=abc: refused"), mask("s3://token@bucket/a?b.png")
    ('cannot read http://host/a?***: refused', 's3://bucket/a?b.png')
    >>> mask("abfss://container@account/x")
    'abfss://container@account/x'
    """
    for value in sorted(_values, key=len, reverse=True):
        if value in text:
            text = text.replace(value, HIDDEN)
    if "://" in text:
        text = _URL.sub(_masked_url, text)
    for name, value in sorted(_variables.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        if value in text:
            text = re.sub(rf"(?<![\w/.~-]){re.escape(value)}(?![\w.-])", lambda _, n=name: f"${{env:{n}}}", text)  # type: ignore[misc]
    return text


def masked(value: Any, *, name: str = "") -> Any:
    """A copy of a value, in the forms that JSON has, without secrets: also without values of storage options and headers, and without those
    under names such as token.

    >>> masked({"storage_options": {"key": "k"}, "url": "https://u:p@b/x?X-Amz-Signature=ab&n=1", "seed": 3})
    {'storage_options': {'key': '***'}, 'url': 'https://b/x?***', 'seed': 3}
    """
    if _OPTION_NAME.search(name):
        return {str(key): HIDDEN for key in value} if isinstance(value, Mapping) else HIDDEN
    if _SECRET_NAME.search(name) and value is not None:
        return HIDDEN
    if isinstance(value, Mapping):
        return {mask(str(key)): masked(item, name=str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [masked(item) for item in items]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask(os.fspath(value) if isinstance(value, os.PathLike) else str(value))


def masked_words(words: list[str]) -> list[str]:
    """A command line without secrets: no value of ``--storage-option``, and none of an option whose name speaks of a secret.

    >>> masked_words(["run", "r.yaml", "--storage-option", "s3.secret=x", "--storage-option=s3.key=y", "--", "--s3_secret_access_key=z"])
    ['run', 'r.yaml', '--storage-option', 's3.secret=***', '--storage-option=s3.key=***', '--', '--s3_secret_access_key=***']
    """
    found: list[str] = []
    hides, whole = False, False
    for word in words:
        if hides:
            head, _, value = word.partition("=")
            found.append(HIDDEN if whole or not value else f"{mask(head)}={HIDDEN}")
            hides = False
            continue
        name, equals, value = word.partition("=")
        option = name.startswith("-")
        secret = option and bool(_SECRET_NAME.search(name.replace("-", "_")))
        stores = option and bool(_OPTION_NAME.search(name))
        if (secret or stores) and equals:
            head, _, rest = value.partition("=")
            found.append(f"{name}={mask(head)}={HIDDEN}" if stores and rest else f"{name}={HIDDEN}")
        else:
            hides, whole = (secret or stores), secret
            found.append(mask(word))
    return found


def holds_secret(location: str) -> bool:
    """Whether a location has user info or a signature, and so must be stored in no file.

    >>> holds_secret("https://me@host/a"), holds_secret("https://host/a?sig=x"), holds_secret("s3://bucket/a?b.png")
    (True, True, False)
    """
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", location)) and _URL.sub(_masked_url, location) != location


def holds_user(location: str) -> bool:
    """Whether a URL has user info.

    >>> holds_user("sftp://me@host/a"), holds_user("abfss://container@account/a"), holds_user("s3://bucket/a@b")
    (True, False, False)
    """
    scheme, _, rest = location.partition("://")
    return scheme.lower() not in _CONTAINERS and _without_user(rest) != rest


def _without_user(rest: str) -> str:
    """What follows ``://`` without user info. A password may hold a slash or a ?, though it should not."""
    authority = re.match(r"[^/?#]*", rest)
    head = authority[0] if authority else ""
    if "@" in head:
        return head.rpartition("@")[2] + rest[len(head) :]
    user = re.match(r"[^/@\s]*:[^@\s]*@", rest)
    return rest[user.end() :] if user is not None and not re.match(r"[^/:]*:\d+(/|$)", rest) else rest


def _masked_url(match: re.Match[str]) -> str:
    scheme, rest = match["scheme"], match["rest"]
    kind = scheme.lower()
    if kind not in _CONTAINERS:
        rest = _without_user(rest)
    if kind in _KEYS:
        rest = _PAIR.sub(lambda m: m["name"] + HIDDEN if _SECRET_QUERY.search(unquote(m["name"])) else m[0], rest)
    elif found := re.search(r"[?#]", rest):
        tail = re.search(r"[),.;:\]]*$", rest[found.start() + 1 :])
        rest = f"{rest[: found.start()]}?{HIDDEN}{tail[0] if tail else ''}"
    return f"{scheme}://{rest}"
