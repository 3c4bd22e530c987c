"""The configuration: one TOML file, then the environment, parsed once and frozen. Unknown keys are refused.

Order of precedence: environment, then ``*_FILE`` secrets, then the file that was named, then nothing:
the shipped ``gapless.toml`` is the default file, so every default can be read there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from actors.outlook import Sources
from cli import exit_settings
from cli.choice_settings import RiskSettings, VolatilitySettings
from cli.entry_settings import Choice, EntryParameters, EntrySettings, Ticker, resolve, sector_of_each
from cli.exit_settings import ExitsSettings, KindOverrides
from cli.sections import (
    AccountSettings,
    BrokerageSettings,
    InterlockSettings,
    LossSettings,
    Name,
    ServerSettings,
    StackSettings,
    StrategySettings,
)
from domain.consistency import contradictions
from domain.exits import ExitPolicy
from domain.gates import EntryRules, RuleBook
from domain.ids import AccountName
from domain.instrument import Kind
from domain.interlock import Bounds

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
#: The strategy of positions that somebody else opened: it has a policy, and no recommendation may name it.
ADOPTED: Final = "adopted"


class BadConfiguration(ValueError):
    """The configuration cannot be used; the message names key and value."""

    exit_code = 2


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
    losses: LossSettings
    interlock: InterlockSettings
    strategies: Annotated[dict[Name, StrategySettings], Field(min_length=1)]
    exits: ExitsSettings
    #: The tickers of each sector, for the limit on a sector's exposure.
    sectors: dict[Name, tuple[Ticker, ...]] = Field(default_factory=dict)
    #: The dates on which a ticker's company reports, New York's.
    earnings: dict[Ticker, tuple[date, ...]] = Field(default_factory=dict)
    risk: RiskSettings | None = None
    volatility: VolatilitySettings | None = None

    @model_validator(mode="after")
    def _names_mean_something(self) -> Settings:
        sector_of_each(self.sectors)
        self._tiers_mean_something()
        self._live_needs_floors()
        for account, settings in self.accounts.items():
            for strategy in settings.strategies:
                if strategy not in self.strategies:
                    raise ValueError(f"accounts.{account}.strategies.{strategy}: no such strategy is configured")
        return self

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

    @model_validator(mode="after")
    def _reconciliation_fits(self) -> Settings:
        every, bound = self.stack.reconcile_every_s, self.interlock.max_reconciliation_age_s
        if bound <= every:
            raise ValueError(
                f"interlock.max_reconciliation_age_s: more than stack.reconcile_every_s = {every}, was {bound}"
            )
        return self

    def rule_book(self) -> RuleBook:
        """Return the rules for entries of every account and strategy."""
        names = self.account_names()
        return RuleBook(
            of_account={name: self._rules(name, None) for name in names},
            of_strategy={(name, strategy): self._rules(name, strategy) for name in names for strategy in self.floors()},
        )

    def floors(self) -> Mapping[str, Decimal]:
        """Return the floor of confidence of each strategy that a recommendation may name."""
        return {n: s.min_confidence for n, s in self.strategies.items() if s.min_confidence is not None}

    def _rules(self, account: AccountName, strategy: str | None) -> EntryRules:
        mine = self.accounts[account]
        layers: list[EntryParameters] = [mine.entries]
        if strategy is not None:
            layers.insert(0, self.strategies[strategy].entries)
            layers += [mine.strategies[strategy].entries] if strategy in mine.strategies else []
        return resolve(
            self.entries, tuple(layers), self.floors(), sector_of_each(self.sectors), self._choice(mine, strategy)
        )

    def _choice(self, account: AccountSettings, strategy: str | None) -> Choice:
        selection = None if strategy is None else self.strategies[strategy].selection
        return Choice(
            selection=None if selection is None else selection.rules(),
            risk=None if self.risk is None else self.risk.rules(account.tier),
            regime=None if self.volatility is None else self.volatility.rules(),
        )

    def _tiers_mean_something(self) -> None:
        """Every strategy that may open has its risk in every tier, and every tier that is named is there."""
        tiers = {tier.name: tier for tier in self.risk.tiers} if self.risk else {}
        for name, account in self.accounts.items():
            if account.tier is not None and account.tier not in tiers:
                raise ValueError(f"accounts.{name}.tier: no tier is called {account.tier!r}")
        for name, tier in tiers.items():
            if missing := sorted(set(self.floors()) - set(tier.risk_pct)):
                raise ValueError(f"risk.tiers.{name}.risk_pct: nothing is said about {', '.join(missing)}")
            if strange := sorted(set(tier.risk_pct) - set(self.strategies)):
                raise ValueError(f"risk.tiers.{name}.risk_pct: no strategy is called {', '.join(strange)}")

    def _live_needs_floors(self) -> None:
        """With real money no contract is chosen without floors of volume and open interest (R43)."""
        if self.brokerage.mode != "alpaca-live":
            return
        for name, strategy in self.strategies.items():
            chosen = strategy.selection
            if chosen is not None and not (chosen.min_volume and chosen.min_open_interest):
                raise ValueError(f"strategies.{name}.selection: live trading needs min_volume and min_open_interest")

    def policy_of(self, account: AccountName, strategy: str, kind: Kind) -> ExitPolicy:
        """Return how a position of *strategy* in *kind* is left in *account*.

        A strategy that is not configured is left as what somebody else opened.
        """
        section = "stock" if kind is Kind.STOCK else "option"
        of_strategy = self.strategies.get(strategy) or self.strategies[ADOPTED]
        of_account = self.accounts.get(account)
        layers = (self.exits, of_strategy.exits, of_account.exits if of_account else KindOverrides())
        beneath, *over = (getattr(layer, section).named() for layer in layers)
        return exit_settings.policy([beneath, of_strategy.spans(), *over])

    def policies(self) -> dict[tuple[AccountName, str, str], ExitPolicy]:
        """Return every policy by account, strategy and kind: ``option`` or ``stock``."""
        kinds = (("option", Kind.CALL), ("stock", Kind.STOCK))
        return {
            (account, strategy, section): self.policy_of(account, strategy, kind)
            for account in self.account_names()
            for strategy in sorted(self.strategies)
            for section, kind in kinds
        }

    def contradictions(self) -> tuple[str, ...]:
        """Return what the rules for entries and exits would do to each other."""
        book = self.rule_book()
        limits = {AccountName(name): account.limits() for name, account in self.accounts.items()}
        policies = {(*key, kind): self.policy_of(*key, kind) for key in book.of_strategy for kind in Kind}
        return contradictions(book, limits, policies, self.earnings)

    def sources(self) -> Sources:
        """Return what the exit is told about prices, the state of the market and earnings."""
        return Sources(
            max_divergence_pct=self.interlock.max_price_divergence_pct,
            regime=None if self.volatility is None else self.volatility.rules(),
            earnings=self.earnings,
        )

    def account_names(self) -> tuple[AccountName, ...]:
        return tuple(AccountName(name) for name in sorted(self.accounts))

    def bounds(self) -> Bounds:
        """Return how long each part of the stack may be silent before entries stop."""
        return self.interlock.bounds(timedelta(seconds=self.entries.max_silence_s))

    def rules(self) -> dict[str, Any]:
        """Return what decides as JSON types: limits, rules and policies, without addresses, keys and secrets."""
        keys = {"accounts": {"__all__": {"key_id", "secret"}}}
        body: dict[str, Any] = self.model_dump(mode="json", include=set(_DECISIVE), exclude=keys, exclude_none=True)
        return body

    def with_rules(self, body: Mapping[str, Any]) -> Settings:
        """Return these settings with the rules in *body*; accounts to trade in, keys and servers stay.

        Raises:
            ValidationError: *body* is not what this code calls rules.
            ValueError: a part of them is missing.
        """
        known = type(self).model_fields
        if missing := [name for name in _DECISIVE if name not in body and known[name].is_required()]:
            raise ValueError(f"rules: {', '.join(missing)} expected, found {sorted(body)}")
        kinds: dict[str, Any] = {name: known[name].annotation for name in _DECISIVE if name in body}
        read: dict[str, Any] = {n: TypeAdapter(kind).validate_python(body[n]) for n, kind in kinds.items()}
        read |= {n: known[n].get_default(call_default_factory=True) for n in _DECISIVE if n not in body}
        ours = {n: a.model_copy(update=_keys_of(self.accounts.get(n))) for n, a in read["accounts"].items()}
        return self.model_copy(update=read | {"accounts": ours})

    def hash(self) -> str:
        """Return a short hash of what decides; processes with and without keys agree on it."""
        return hashlib.sha256(json.dumps(self.rules(), sort_keys=True).encode()).hexdigest()[:12]


#: The sections that decide: they are hashed, kept in the database and taken from it while actors run.
_DECISIVE: Final = (
    "accounts",
    "entries",
    "losses",
    "interlock",
    "strategies",
    "exits",
    "sectors",
    "earnings",
    "risk",
    "volatility",
)


def _keys_of(account: AccountSettings | None) -> dict[str, Any]:
    return {} if account is None else {"key_id": account.key_id, "secret": account.secret}


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
    where = ".".join(str(part) for part in error["loc"] if part != exit_settings.ON)
    shown = "" if "secret" in where or "url" in where else f", was {error['input']!r:.80}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}{shown}"
