"""The configuration: one TOML file, then the environment, parsed once and frozen. Unknown keys are refused.

Order of precedence: environment, then ``*_FILE`` secrets, then the file that was named, then nothing:
the shipped ``gapless.toml`` is the default file, so every default can be read there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from domain.account import Limits
from domain.consistency import contradictions
from domain.events import Action
from domain.exits import ExitPolicy
from domain.gates import EntryRules
from domain.ids import AccountName
from domain.instrument import Kind

#: The file that ships with the code: every default is a line in it.
SHIPPED: Final = Path(__file__).resolve().parent.parent / "gapless.toml"
PREFIX: Final = "GAPLESS_"
#: Short words for two settings that everybody sets from the environment.
_LONG: Final = {
    "gapless_redis_url": "gapless_servers__redis_url",
    "gapless_database_url": "gapless_servers__database_url",
}
#: Words of the environment that are not settings.
NOT_SETTINGS: Final = frozenset(
    {
        "GAPLESS_CI_SLOW",
        "GAPLESS_CONFIG",
        "GAPLESS_MONITORING_TOOLS",
        "GAPLESS_REQUIRE_SERVERS",
        "GAPLESS_STORM_SEEDS",
    }
)
LIVE_WORDS: Final = "yes, with my own money"
#: The strategy of positions that somebody else opened: it has a policy, and no recommendation may name it.
ADOPTED: Final = "adopted"


class BadConfiguration(ValueError):
    """The configuration cannot be used; the message names key and value."""

    exit_code = 2


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError('write a decimal as text, such as "0.55"')  # noqa: TRY004 - pydantic wants ValueError
    return value


Exact = Annotated[Decimal, BeforeValidator(_exact)]
Usd = Annotated[Exact, Field(gt=0, max_digits=14, decimal_places=2)]
Pct = Annotated[Exact, Field(gt=0, le=1000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerageSettings(_Section):
    mode: Literal["paper", "alpaca-paper", "alpaca-live"]
    live_confirmed: str
    option_feed: Literal["indicative", "opra"]
    stock_feed: Literal["iex", "sip"]
    timeout_s: Annotated[int, Field(gt=0, le=120)]
    requests_per_minute: Annotated[int, Field(gt=0)]
    reserved_for_exits: Annotated[int, Field(gt=0)]
    #: Where the local Alpaca answers; set by ``run`` and ``replay`` for their actors.
    paper_url: str | None = None

    @model_validator(mode="after")
    def _live_needs_two_settings(self) -> BrokerageSettings:
        if self.mode == "alpaca-live" and self.live_confirmed != LIVE_WORDS:
            raise ValueError(f'mode is "alpaca-live": live_confirmed must say "{LIVE_WORDS}"')
        if self.reserved_for_exits * 2 >= self.requests_per_minute:
            raise ValueError(f"reserved_for_exits must be under half of the requests, was {self.reserved_for_exits}")
        return self


class ServerSettings(_Section):
    data_dir: Path
    redis_url: SecretStr | None = None
    database_url: SecretStr | None = None


class StackSettings(_Section):
    partitions: Annotated[int, Field(ge=1, le=64)]
    gate_slots: Annotated[int, Field(ge=1, le=64)]
    reconcile_every_s: Annotated[int, Field(gt=0, le=600)]
    watch: tuple[str, ...]
    metrics_host: str
    metrics_port: Annotated[int, Field(ge=0, le=65535)]
    #: "recorded": the clock of a recorded day, set by ``run`` and ``replay`` for their actors.
    clock: Literal["wall", "recorded"] = "wall"


class AccountSettings(_Section):
    max_positions: Annotated[int, Field(ge=0, le=1000)]
    max_exposure_usd: Usd
    max_daily_loss_usd: Usd
    max_contracts_per_order: Annotated[int, Field(ge=1, le=1000)]
    key_id: str = ""
    secret: SecretStr = SecretStr("")

    def limits(self) -> Limits:
        return Limits(
            max_positions=self.max_positions,
            max_exposure_usd=self.max_exposure_usd,
            max_daily_loss_usd=self.max_daily_loss_usd,
            max_contracts_per_order=self.max_contracts_per_order,
        )


class EntrySettings(_Section):
    permitted: tuple[str, ...]
    max_recommendation_age_s: Annotated[int, Field(gt=0)]
    max_feed_age_s: Annotated[int, Field(gt=0)]
    max_quote_age_s: Annotated[int, Field(gt=0)]
    max_spread_pct: Pct
    no_entry_before_close_min: Annotated[int, Field(ge=0)]
    no_entry_before_last_close_min: Annotated[int, Field(ge=0)]
    refuse_opposite_direction: bool
    max_silence_s: Annotated[int, Field(ge=5)]
    entry_ttl_s: Annotated[int, Field(gt=0)]

    @model_validator(mode="after")
    def _pairs_are_known(self) -> EntrySettings:
        self.pairs()
        return self

    def pairs(self) -> frozenset[tuple[Action, Kind]]:
        """Return the permitted pairs; SELL only ever closes and is not among them."""
        return frozenset(_pair(text) for text in self.permitted)


def _pair(text: str) -> tuple[Action, Kind]:
    action, _, kind = text.partition(" ")
    if action != Action.BUY or kind not in set(Kind):
        raise ValueError(f'permitted: pairs such as "BUY CALL" are expected, was {text!r}')
    return Action(action), Kind(kind)


class StrategySettings(_Section):
    min_confidence: Annotated[Exact, Field(ge=0, le=1)] | None = None
    max_hold_min: Annotated[int, Field(gt=0)] | None = None
    flatten_before_close_min: Annotated[int, Field(ge=0)] | None = None


class ExitSettings(_Section):
    stop_pct: Pct | None = None
    catastrophe_pct: Pct | None = None
    target_pct: Pct | None = None
    trail_arm_pct: Pct | None = None
    trail_giveback_pct: Pct | None = None
    min_hold_min: Annotated[int, Field(ge=0)]
    close_before_expiry_min: Annotated[int, Field(ge=0)] | None = None


class ExitsSettings(_Section):
    option: ExitSettings
    stock: ExitSettings


class _Environment(EnvSettingsSource):
    """The environment, where ``GAPLESS_..._FILE`` names a file that holds the value of ``GAPLESS_...``."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        words = {k: v for k, v in super()._load_env_vars().items() if k.startswith(PREFIX.lower())}
        files = {k: v for k, v in words.items() if k.endswith("_file") and v}
        read = {k.removesuffix("_file"): _read_secret(k, v) for k, v in files.items() if v}
        plain = {k: v for k, v in words.items() if k not in files}
        return {_LONG.get(k, k): v for k, v in (read | plain).items()}


def _read_secret(key: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise BadConfiguration(f"{key.upper()}: cannot read {path!r}: {e}") from e


class Settings(BaseSettings):
    """Everything that can be configured. Frozen: nobody changes it while the system runs."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    brokerage: BrokerageSettings
    servers: ServerSettings
    stack: StackSettings
    accounts: Annotated[dict[Name, AccountSettings], Field(min_length=1)]
    entries: EntrySettings
    strategies: Annotated[dict[Name, StrategySettings], Field(min_length=1)]
    exits: ExitsSettings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, _Environment(settings_cls))

    def entry_rules(self) -> EntryRules:
        entries = self.entries
        floors = {n: s.min_confidence for n, s in self.strategies.items() if s.min_confidence is not None}
        return EntryRules(
            permitted=entries.pairs(),
            min_confidence=floors,
            max_recommendation_age=timedelta(seconds=entries.max_recommendation_age_s),
            max_feed_age=timedelta(seconds=entries.max_feed_age_s),
            max_quote_age=timedelta(seconds=entries.max_quote_age_s),
            max_spread_pct=entries.max_spread_pct,
            no_entry_before_close=timedelta(minutes=entries.no_entry_before_close_min),
            no_entry_before_last_close=timedelta(minutes=entries.no_entry_before_last_close_min),
            refuse_opposite_direction=entries.refuse_opposite_direction,
            max_silence=timedelta(seconds=entries.max_silence_s),
        )

    def policy_of(self, strategy: str, kind: Kind) -> ExitPolicy:
        """Return how a position of *strategy* in *kind* is left; its version is a hash of its numbers."""
        rules = self.exits.stock if kind is Kind.STOCK else self.exits.option
        times = self.strategies.get(strategy) or self.strategies[ADOPTED]
        numbers = f"{strategy} {kind} {rules!r} {times!r}"
        return ExitPolicy(
            version=hashlib.sha256(numbers.encode()).hexdigest()[:12],
            stop_pct=rules.stop_pct,
            catastrophe_pct=rules.catastrophe_pct,
            target_pct=rules.target_pct,
            trail_arm_pct=rules.trail_arm_pct,
            trail_giveback_pct=rules.trail_giveback_pct,
            min_hold=timedelta(minutes=rules.min_hold_min),
            max_hold=_minutes(times.max_hold_min),
            flatten_before_close=_minutes(times.flatten_before_close_min),
            close_before_expiry=_minutes(rules.close_before_expiry_min),
        )

    def contradictions(self) -> tuple[str, ...]:
        """Return what the rules for entries and exits would do to each other."""
        rules = self.entry_rules()
        kinds = sorted({kind for _, kind in rules.permitted})
        policies = {(name, kind): self.policy_of(name, kind) for name in rules.min_confidence for kind in kinds}
        return contradictions(rules, {name: account.limits() for name, account in self.accounts.items()}, policies)

    def account_names(self) -> tuple[AccountName, ...]:
        return tuple(AccountName(name) for name in sorted(self.accounts))

    def hash(self) -> str:
        """Return a short hash of what decides: limits, rules and policies, without addresses and keys.

        Processes with keys and processes without have the same.
        """
        keys = {"accounts": {"__all__": {"key_id", "secret"}}}
        decisive = self.model_dump_json(include={"accounts", "entries", "strategies", "exits"}, exclude=keys)
        return hashlib.sha256(decisive.encode()).hexdigest()[:12]


def _minutes(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(minutes=number)


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings from *path*, from GAPLESS_CONFIG, from ./gapless.toml or from the shipped file.

    Raises:
        BadConfiguration: the file or the environment is wrong; the message names key and value.
    """
    file = config_file(path, environ)
    _refuse_unknown_words(environ)
    try:
        loaded = _from(file)()  # type: ignore[call-arg]  # the sources bring the values
    except ValidationError as e:
        raise BadConfiguration(f"{file}: " + "; ".join(_complaint(error) for error in e.errors())) from e
    except (OSError, ValueError) as e:
        raise BadConfiguration(f"{file}: {e}") from e
    if ADOPTED not in loaded.strategies:
        raise BadConfiguration(f"{file}: strategies.{ADOPTED}: positions that others opened need a policy")
    return loaded


def config_file(path: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file that counts: the one named, that of GAPLESS_CONFIG, ./gapless.toml, or the shipped one."""
    if path is not None:
        return path
    if named := environ.get("GAPLESS_CONFIG"):
        return Path(named)
    here = Path("gapless.toml")
    return here if here.is_file() else SHIPPED


def _from(file: Path) -> type[Settings]:
    if not file.is_file():
        raise FileNotFoundError("no such file")

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(cls, settings_cls: type[BaseSettings], *args: Any, **kwargs: Any) -> Any:
            before = super().settings_customise_sources(settings_cls, *args, **kwargs)
            return (*before, TomlConfigSettingsSource(settings_cls, toml_file=file))

    return FromFile


def _refuse_unknown_words(environ: Mapping[str, str]) -> None:
    """An environment key that nobody reads is a setting that is not in force (R15)."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for key in environ:
        is_short = key.lower().removesuffix("_file") in _LONG
        if key.startswith(PREFIX) and key not in NOT_SETTINGS and not is_short and key.split("__")[0] not in known:
            raise BadConfiguration(f"{key}: no such setting")


def _complaint(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    shown = "" if "secret" in where or "url" in where else f", was {error['input']!r:.80}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}{shown}"
