"""The run script: a bare machine, a warm start, two at once, an interrupted set-up, a missing Python."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.packaging.sandbox import Sandbox, kill_group


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path).with_uv()


def test_arguments_folder_and_exit_code_are_the_commands(sandbox: Sandbox, tmp_path: Path) -> None:
    """``./run ARGS`` is ``gapless ARGS`` where the user stands, and stdout is the command's alone."""
    code, out, err = sandbox.run("submit", "a file.jsonl", "", "*", cwd=tmp_path)
    assert (7, [["submit", "a file.jsonl", "", "*"], str(tmp_path)]) == (code, json.loads(out))
    assert "noise of the installer" in err


def test_without_arguments_the_main_job_runs(sandbox: Sandbox) -> None:
    """``./run`` alone is ``gapless run``."""
    _, out, _ = sandbox.run()
    assert ["run"] == json.loads(out)[0]


def test_a_warm_start_installs_nothing(sandbox: Sandbox) -> None:
    """The second start only compares the lock with what was installed."""
    sandbox.run("first")
    _, _, err = sandbox.run("second")
    assert (["requirements.lock"], "") == (sandbox.installed(), err)


def test_a_warm_start_costs_less_than_a_tenth_of_a_second(sandbox: Sandbox) -> None:
    """The best of five in seconds of the processor, Python's own start included: a busy machine changes nothing."""
    sandbox.run("first")

    def spent() -> float:
        of_children = os.times()
        return of_children.children_user + of_children.children_system

    def seconds() -> float:
        before = spent()
        sandbox.run("again")
        return spent() - before

    assert 0.1 > min(seconds() for _ in range(5))


def test_a_changed_lock_is_installed(sandbox: Sandbox) -> None:
    """After an update of the repository the next start follows it."""
    sandbox.run("first")
    (sandbox.root / "requirements.lock").write_text("# second\n")
    sandbox.run("second")
    assert ["requirements.lock", "requirements.lock"] == sandbox.installed()


def test_only_hashed_wheels_are_installed(sandbox: Sandbox) -> None:
    """Whatever installs is told to check every hash and to compile nothing."""
    sandbox.run("first")
    [call] = [line for line in sandbox.log.read_text().splitlines() if line.startswith("pip install")]
    assert "--require-hashes --only-binary :all:" in call


def test_two_set_ups_at_once_install_once(sandbox: Sandbox) -> None:
    """Two terminals on a fresh clone: one works, one waits, both run."""
    started = [sandbox.start("one"), sandbox.start("two")]
    outs = [process.communicate(timeout=30)[0] for process in started]
    assert [["one"], ["two"]] == [json.loads(out)[0] for out in outs]
    assert ["requirements.lock"] == sandbox.installed()


def test_a_killed_set_up_is_done_again(sandbox: Sandbox) -> None:
    """What a kill -9 in the middle left is neither trusted nor in the way."""
    hang = Path(f"{sandbox.log}.hang")
    hang.touch()
    process = sandbox.start("first")
    while not sandbox.installed():
        time.sleep(0.02)
    kill_group(process)
    hang.unlink()
    code, out, err = sandbox.run("second")
    assert (7, ["second"]) == (code, json.loads(out)[0])
    assert "interrupted; beginning anew" in err
    assert not (sandbox.root / ".venv.lock").exists()


def test_a_failed_set_up_fails_and_is_tried_again(sandbox: Sandbox) -> None:
    """No network: the command does not start on half an environment, and the next start tries again."""
    fail = Path(f"{sandbox.log}.fail")
    fail.touch()
    code, out, _ = sandbox.run("first")
    assert (1, "") == (code, out)
    fail.unlink()
    code, out, _ = sandbox.run("second")
    assert (7, ["second"]) == (code, json.loads(out)[0])


def test_our_packages_are_not_looked_for_where_the_user_stands(sandbox: Sandbox, tmp_path: Path) -> None:
    """A folder called ``cli`` in somebody's project does not become the command."""
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "__main__.py").write_text("raise SystemExit('the wrong program')\n")
    code, out, _ = sandbox.run("status", cwd=tmp_path)
    assert (7, ["status"]) == (code, json.loads(out)[0])


def test_the_environment_has_the_command(sandbox: Sandbox, tmp_path: Path) -> None:
    """``.venv/bin/gapless`` works from anywhere, blanks and quotes in the path included."""
    sandbox.run("first")
    (sandbox.root / "run").write_text('#!/bin/sh\nexec .venv/bin/gapless "$@"\n')
    code, out, _ = sandbox.run("positions", "--json")
    assert (7, ["positions", "--json"]) == (code, json.loads(out)[0])


def test_the_storm_needs_a_number(sandbox: Sandbox) -> None:
    """Wrong usage is told before any test runs."""
    code, _, err = sandbox.run("test", "--storm", "many")
    assert (2, "gapless: say how many seeds: ./run test --storm 200") == (code, err.splitlines()[-1])


def test_the_tests_have_their_own_packages(sandbox: Sandbox) -> None:
    """``./run test`` installs both locks; the command alone installs one."""
    sandbox.run("test")
    assert ["requirements.lock", "requirements-dev.lock"] == sandbox.installed()


NOT_ROOT = "#!/bin/sh\necho 1000\n"
ROOT_USER = "#!/bin/sh\necho 0\n"
OLD_PYTHON = '#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2" && exit\nexit 1\n'
#: New enough, without venv and ensurepip.
BARE_PYTHON = '#!/bin/sh\ncase $2 in *ensurepip*) exit 1;; esac\nexec "$REAL_PYTHON" "$@"\n'
APT = '#!/bin/sh\necho "apt-get $*" >>"$UV_LOG"\n'


@pytest.fixture
def bare(tmp_path: Path) -> Sandbox:
    """A machine without uv and without Python, and we are not root."""
    sandbox = Sandbox(tmp_path)
    sandbox.add_program("id", NOT_ROOT)
    return sandbox


def test_without_python_the_last_line_says_what_to_type(bare: Sandbox) -> None:
    """On Debian and Ubuntu one line brings it; we are not root, so we only say it."""
    bare.add_program("apt-get", APT)
    code, out, err = bare.run("status")
    assert (2, "") == (code, out)
    assert [
        "gapless: Python 3.11 or newer is needed; there is none here",
        "gapless: type: sudo apt-get install -y python3-venv",
    ] == err.splitlines()
    assert not bare.log.exists()


def test_an_old_python_is_named(bare: Sandbox) -> None:
    """Apple's is 3.9: say so, and say what brings another."""
    bare.add_program("python3", OLD_PYTHON)
    bare.add_program("brew", "#!/bin/sh\n")
    code, _, err = bare.run("status")
    assert 2 == code
    assert [
        "gapless: Python 3.11 or newer is needed; python3 here is 3.9.2",
        "gapless: type: brew install python",
    ] == err.splitlines()


def test_a_python_without_venv_is_named(bare: Sandbox) -> None:
    """Debian splits venv off; without apt-get there is still a sentence."""
    bare.add_program("python3", BARE_PYTHON)
    code, _, err = bare.run("status")
    assert 2 == code
    assert [
        "gapless: python3 has no venv module",
        "gapless: install Python 3.11 or newer with venv, or uv, and try again",
    ] == err.splitlines()


def test_root_installs_the_venv_module_and_says_so(bare: Sandbox) -> None:
    """In a fresh container one command is enough; if apt cannot help, the last line says what to do."""
    bare.add_program("id", ROOT_USER)
    bare.add_program("python3", BARE_PYTHON)
    bare.add_program("apt-get", APT)
    code, _, err = bare.run("status")
    assert 2 == code
    assert "gapless: no Python with venv here; installing it: apt-get install -y python3-venv" == err.splitlines()[0]
    assert ["apt-get install -y --no-install-recommends python3-venv"] == bare.log.read_text().splitlines()


@pytest.mark.slow
def test_the_real_set_up(tmp_path: Path) -> None:
    """With a Python and its pip, and a lock without packages: environment, stamp and command."""
    sandbox = Sandbox(tmp_path)
    sandbox.add_program("python3", '#!/bin/sh\nexec "$REAL_PYTHON" "$@"\n')
    code, out, err = sandbox.run("status")
    assert (7, ["status"]) == (code, json.loads(out)[0])
    assert "creating .venv" in err
