"""The least that a way out needs of a configuration that cannot be read: which brokerage, and keys.

Only for ``flatten``, which goes straight to the brokerage then. Everything else in what it returns is as shipped.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, TomlConfigSettingsSource

from cli.sections import BrokerageSettings
from cli.settings import PREFIX, SHIPPED, BadConfiguration, Settings

#: What says where orders go.
_WHERE: Final = ("mode", "live_confirmed", "paper_url")
_KEYS: Final = ("key_id", "secret")
_FOLDER: Final = ("data_dir",)


class _Shipped(Settings):
    """The shipped file, whatever the environment says."""

    @classmethod
    def settings_customise_sources(cls, settings_cls: type[BaseSettings], *_: Any, **__: Any) -> Any:
        return (TomlConfigSettingsSource(settings_cls, toml_file=SHIPPED),)


def least(file: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the shipped settings with the brokerage and the keys that *environ* or else *file* names.

    Raises:
        BadConfiguration: neither says which brokerage it is, or what they say about it is wrong.
    """
    said, shipped = _tables(file), _Shipped()  # type: ignore[call-arg]  # the file brings the values
    where = _among(_WHERE, said.get("brokerage")) | _among(_WHERE, _words(environ, "brokerage"))
    if "mode" not in where:
        raise BadConfiguration(f"{file}: brokerage.mode: nothing says which brokerage it is")
    try:
        brokerage = BrokerageSettings.model_validate(shipped.brokerage.model_dump() | where)
    except ValidationError as e:
        raise BadConfiguration(f"{file}: brokerage: {e.errors()[0]['msg']}") from e
    of_file = said.get("accounts", {})
    pattern = next(iter(shipped.accounts.values()))
    accounts = {}
    for name in sorted({*shipped.accounts, *of_file, *_named(environ)}):
        keys = _among(_KEYS, of_file.get(name)) | _among(_KEYS, _words(environ, "accounts", name))
        own = {"key_id": keys.get("key_id", ""), "secret": SecretStr(keys.get("secret", ""))}
        accounts[name] = pattern.model_copy(update=own)
    folder = _among(_FOLDER, said.get("servers")) | _among(_FOLDER, _words(environ, "servers"))
    servers = shipped.servers.model_copy(update={name: Path(path) for name, path in folder.items()})
    return shipped.model_copy(update={"brokerage": brokerage, "accounts": accounts, "servers": servers})


def _tables(file: Path) -> dict[str, Any]:
    """Return the tables of *file*, none where it is no TOML: the environment may say enough."""
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: table for name, table in said.items() if isinstance(table, dict)}


def _among(names: tuple[str, ...], table: Any) -> dict[str, str]:
    found = table if isinstance(table, dict) else {}
    return {name: found[name] for name in names if isinstance(found.get(name), str)}


def _words(environ: Mapping[str, str], *place: str) -> dict[str, str]:
    """Return what the environment says at *place*: the words themselves, or what their files hold."""
    prefix = f"{PREFIX}{'__'.join(place)}__".lower()
    mine = {key.lower().removeprefix(prefix): value for key, value in environ.items() if key.lower().startswith(prefix)}
    files = {key.removesuffix("_file"): _text(value) for key, value in mine.items() if key.endswith("_file")}
    return files | mine


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as e:
        raise BadConfiguration(f"cannot read {path!r}: {e}") from e


def _named(environ: Mapping[str, str]) -> list[str]:
    """Return the accounts that the environment names."""
    prefix = f"{PREFIX}accounts__".lower()
    return [key.lower().removeprefix(prefix).split("__")[0] for key in environ if key.lower().startswith(prefix)]
