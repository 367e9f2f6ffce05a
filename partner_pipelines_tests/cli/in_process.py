"""The command within the test's process: for the many short ones, whose own start would be most of their time."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from unittest.mock import patch

from partner_pipelines.cli.app import run
from partner_pipelines.sync.process_trail import end_trail
from partner_pipelines_tests.cli.program import Program


def said(program: Program, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, as `Program.run` does; the environment and the streams are its own."""
    out, complaints = io.StringIO(), io.StringIO()
    with (
        chdir(program.home),
        patch.dict(os.environ, program.environ | variables, clear=True),
        patch.object(sys, "argv", ["partner-pipelines", *words]),
        redirect_stdout(out),
        redirect_stderr(complaints),
    ):
        status = run()
        end_trail(program.place / "audit" / "segments")
    return subprocess.CompletedProcess(words, status, out.getvalue(), complaints.getvalue())
