"""A copy of the run script in a folder of its own, beside a stand-in command and a stand-in uv.

The script is the real one. What it calls to install is replaced, so that a test takes a tenth
of a second and needs no package index; the real thing is tried by ``test_real_set_up``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What the script itself needs of a system; nothing among it is a Python.
TOOLS = ["cat", "chmod", "cmp", "cp", "cut", "dirname", "env", "id", "mkdir", "readlink", "rm", "rmdir", "sed"]
TOOLS += ["sh", "sleep", "tr"]

COMMAND = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd()])); sys.exit(7)\n"
UV = """#!/bin/sh
echo "$@" >>"$UV_LOG"
echo "noise of the installer"
for last; do :; done
case $1 in
venv) "$REAL_PYTHON" -m venv --without-pip "$last" ;;
pip) if [ -e "$UV_LOG.hang" ]; then sleep 60; fi; if [ -e "$UV_LOG.fail" ]; then exit 1; fi; sleep 0.1 ;;
esac
"""


class Sandbox:
    """A repository with nothing but the script, two locks and a command that says how it was called."""

    def __init__(self, base: Path) -> None:
        self.root = base / "a trader's desk"
        self.bin = base / "bin"
        self.log = base / "uv.log"
        (self.root / "cli").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(ROOT / "run", self.root / "run")
        (self.root / "cli" / "__main__.py").write_text(COMMAND)
        (self.root / "requirements.lock").write_text("# first\n")
        (self.root / "requirements-dev.lock").write_text("# first\n")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def add_program(self, name: str, script: str) -> None:
        """Put a stand-in on the PATH."""
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def with_uv(self) -> Sandbox:
        self.add_program("uv", UV)
        return self

    def start(self, *args: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start the script with nothing on its PATH but the sandbox's programs."""
        environment = {"PATH": str(self.bin), "UV_LOG": str(self.log), "REAL_PYTHON": sys.executable, "HOME": "/"}
        return subprocess.Popen(
            [str(self.root / "run"), *args],
            cwd=cwd or self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *args: str, cwd: Path | None = None) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr of the script."""
        process = self.start(*args, cwd=cwd)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def installed(self) -> list[str]:
        """Return the lock files that uv was asked to install, in order."""
        if not self.log.exists():
            return []
        return [
            Path(line.split("-r ", 1)[1]).name for line in self.log.read_text().splitlines() if line.startswith("pip")
        ]


def kill_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, 9)
    process.communicate()
