"""The command ``gapless``: what it can do, and what its exit codes mean.

0 done; 1 the answer is no (breach, drift, mismatch, not healthy); 2 wrong usage or configuration; 3 a server that is
needed cannot be reached. With ``--json`` every command writes one JSON document to stdout; logs go to stderr.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import redis
import typer
from sqlalchemy.exc import OperationalError

from cli import inspect, ledger, levers, limits, policies
from cli.children import ChildDied, Interrupted, interruptible
from cli.least import least
from cli.options import ReasonOption, session_of
from cli.session import Session
from cli.settings import BadConfiguration, Settings, config_file, load
from db.schema import WrongSchema

OK, NO, WRONG_USAGE, UNREACHABLE = 0, 1, 2, 3
#: The command that works with keys and an endpoint alone.
WAY_OUT = "flatten"

app = typer.Typer(
    name="gapless",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=__doc__,
)
paper_app = typer.Typer(no_args_is_help=True, help="The local Alpaca.")
config_app = typer.Typer(no_args_is_help=True, help="The configuration.")
app.add_typer(paper_app, name="paper")
app.add_typer(config_app, name="config")
app.add_typer(limits.app, name="limits")
app.add_typer(policies.app, name="policy")

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.callback(invoke_without_command=True)
def gapless(
    ctx: typer.Context,
    config: Annotated[Path | None, typer.Option(help="The configuration file.")] = None,
    ledger_folder: Annotated[Path | None, typer.Option("--ledger", help="A ledger's folder to look at.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take trading recommendations to closed positions through Alpaca."""
    file = config_file(config)
    loaded, trouble = _loaded(file, ctx.invoked_subcommand)
    settings = ledger.beside_a_run(loaded, ledger_folder or ledger.current(loaded))
    session = Session(
        settings=settings, config=file, json=as_json, ledger_folder=ledger_folder, settings_trouble=trouble
    )
    ctx.obj = session
    ctx.call_on_close(session.close)
    if ctx.invoked_subcommand is None:
        run(ctx)


def _loaded(file: Path, command: str | None) -> tuple[Settings, str | None]:
    """Return the settings; a way out that nobody can take because of a wrong line is none, so it needs less."""
    try:
        return load(file), None
    except BadConfiguration as e:
        if command != WAY_OUT:
            raise
        return least(file), str(e)


@app.command()
def run(
    ctx: typer.Context,
    data: Annotated[list[Path] | None, typer.Option(help="A recorded day's folder; may be repeated.")] = None,
    speed: Annotated[str | None, typer.Option(help="Seconds of the day in a second, or max.")] = None,
    external: Annotated[bool, typer.Option(help="Use GAPLESS_REDIS_URL and GAPLESS_DATABASE_URL.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the whole stack: on the shipped days, on a recorded day, or at Alpaca."""
    from cli.playing import run_stack

    session = session_of(ctx, as_json)
    raise typer.Exit(run_stack(session, data or [], speed, external=external))


@app.command()
def replay(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A recorded day's folder.")],
    speed: Annotated[str, typer.Option(help="Seconds of the day in a second, or max.")] = "max",
    fresh: Annotated[bool, typer.Option(help="Delete the former replay of this day first.")] = False,
    external: Annotated[bool, typer.Option(help="Use GAPLESS_REDIS_URL and GAPLESS_DATABASE_URL.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Play a recorded day in lockstep through the same actors and print the report."""
    from cli.playing import replay_day

    session = session_of(ctx, as_json)
    raise typer.Exit(replay_day(session, folder, speed, fresh=fresh, external=external))


@app.command()
def play(
    ctx: typer.Context,
    folders: Annotated[list[Path], typer.Argument(help="Recorded days' folders, one after the other.")],
    control: Annotated[str, typer.Option(help="The control port of the local Alpaca, http://HOST:PORT.")],
    speed: Annotated[str, typer.Option(help="Seconds of the day in a second, or max.")] = "1",
    ready: Annotated[Path | None, typer.Option(help="Write this file when the clock stands at the beginning.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Play recorded days into a stack whose servers, actors and local Alpaca run already, as in compose."""
    from cli.playing import play_into

    raise typer.Exit(play_into(session_of(ctx, as_json), folders, control, speed, ready))


@app.command()
def actor(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="gate, executor, tracker, exit, feeds or reconciler")],
) -> None:
    """Run one actor until it is told to stop."""
    from cli.run import host_actor

    wiring = host_actor(session_of(ctx, as_json=False).settings, name)
    wiring.runtime.start()
    try:
        while not wiring.runtime.wait(1.0):
            pass
    except Interrupted:
        pass
    finally:
        wiring.runtime.stop()


@app.command()
def exporter(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Where to listen, unless the configuration says it.")] = None,
    port: Annotated[int | None, typer.Option(help="On which port (9464); 0 is a free one.")] = None,
) -> None:
    """Offer the state of the stack to Prometheus until told to stop; the address is the one line on stdout."""
    from cli.exporting import serve

    serve(session_of(ctx, as_json=False), host, port)


@app.command()
def migrate(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Bring the database to the schema of this code, and limits and rules in it to the configuration."""
    from cli.starting import bring_into_force
    from cli.wiring import address
    from db import schema

    session = session_of(ctx, as_json)
    version = schema.upgrade(address(session.settings, "database_url"))
    engine = schema.connect(address(session.settings, "database_url"))
    changed = bring_into_force(session.settings, engine, datetime.now(UTC))
    engine.dispose()
    session.show(
        {"schema": version, "configuration": session.settings.hash(), "limits_changed": changed},
        lambda d: f"schema: {d['schema']}, configuration: {d['configuration']}",
    )


@app.command()
def submit(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="A file of recommendations, a JSON object a line; - is standard input.")],
    as_json: JsonOption = False,
) -> None:
    """Publish recommendations."""
    from cli.submitting import submit_lines

    session = session_of(ctx, as_json)
    submitted = submit_lines(session, file)
    session.show(submitted, lambda d: f"{d['published']} published")


@app.command()
def doctor(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Is this installation fit to trade?"""
    from cli import doctor as examination

    session = session_of(ctx, as_json)
    document = examination.examine(session)
    session.show(document, examination.render)
    raise typer.Exit(OK if all(check["ok"] for check in document["checks"]) else NO)


@paper_app.command("serve", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def paper_serve(ctx: typer.Context) -> None:
    """Serve the local Alpaca alone: --data DIR [--host H] [--port P] [--control-port C] [--speed N] ..."""
    import paper

    raise typer.Exit(paper.main(ctx.args))


@config_app.command("check")
def config_check(ctx: typer.Context, file: Path, as_json: JsonOption = False) -> None:
    """Validate a configuration file, and find rules for entries and exits that contradict each other."""
    found = load(file)
    document = {"hash": found.hash(), "contradictions": list(found.contradictions())}
    session_of(ctx, as_json).show(
        document, lambda d: "\n".join(d["contradictions"]) or f"{file}: in order ({d['hash']})"
    )
    raise typer.Exit(NO if document["contradictions"] else OK)


@config_app.command("apply")
def config_apply(ctx: typer.Context, file: Path, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Bring the rules and limits of a file into force while the actors run."""
    from cli import limit_acts

    session = session_of(ctx, as_json)
    document = limit_acts.apply_rules(session.desk, load(file), reason, session.person)
    session.show(
        document | {"announced": session.announce()},
        lambda d: f"{d['before']} -> {d['hash']}" if d["changed"] else f"{d['hash']} is in force already",
    )


inspect.register(app)
levers.register(app)


def main() -> None:
    """Run the command; every error that a person can do something about is one line and an exit code."""
    logging.basicConfig(
        stream=sys.stderr,
        level=os.environ.get("LOGLEVEL", "WARNING"),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        with interruptible():
            app(prog_name=app.info.name, standalone_mode=True)
    except Interrupted as e:
        sys.exit(128 + e.signum)
    except (BadConfiguration, WrongSchema) as e:
        _fail(str(e), WRONG_USAGE)
    except ChildDied as e:
        _fail(str(e), UNREACHABLE)
    except OperationalError as e:
        _fail(f"the database does not answer: {str(e.orig).splitlines()[0]}", UNREACHABLE)
    except (redis.ConnectionError, redis.TimeoutError) as e:
        _fail(f"the streams do not answer: {e}", UNREACHABLE)
    except Exception as e:
        code = getattr(e, "exit_code", None)
        if code is None:
            raise
        _fail(str(e), code)


def _fail(message: str, code: int) -> None:
    print(f"gapless: {message}", file=sys.stderr)
    sys.exit(code)
