"""`.env`: lines beside the environment, each taken as it stands there or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from partner_pipelines.errors import SettingsError
from partner_pipelines.settings import load_settings, read_environment


def test_the_process_environment_wins_over_the_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PARTNER_TIMEZONE=Europe/London\nPARTNER_CONCURRENCY=3\nELM=hunter2\n")
    monkeypatch.delenv("PARTNER_TIMEZONE", raising=False)
    monkeypatch.setenv("PARTNER_CONCURRENCY", "4")
    settings = load_settings()
    assert (settings.timezone, settings.concurrency) == ("Europe/London", 4)
    assert read_environment()["ELM"] == "hunter2", "env: references find it"


def test_a_dotenv_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env is not UTF-8 text$"):
        read_environment(file)


@pytest.mark.parametrize("written", ["hun${HOME}ter2", "'hun${HOME}ter2'", '"hun${HOME}ter2"', "hun$HOME{2}"])
def test_a_value_of_the_dotenv_file_is_taken_as_it_stands_there(tmp_path: Path, written: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"\ufeffHUNTER={written}\nexport LAST='two words' # ours\n\nNOTHING=\n")
    found = read_environment(file)
    assert (found["HUNTER"], found["LAST"], found["NOTHING"]) == (written.strip("\"'"), "two words", "")


BAD_LINES = ["PARTNER_ENV: production", "PARTNER_CONCURRENCY 2", 'RESMAN_CLIENT_SECRET="hunter2', "PARTNER_DATA_DIR"]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_line_of_the_dotenv_file_that_sets_nothing_is_refused_and_not_shown(tmp_path: Path, bad: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"# ours\n\nPARTNER_TIMEZONE=Europe/London\n\n{bad}\nPARTNER_CONCURRENCY=3\n")
    with pytest.raises(SettingsError) as caught:
        read_environment(file)
    assert str(caught.value) == f"{file} line 5 cannot be read: write NAME=VALUE, and close its quotes"


def test_without_a_dotenv_file_the_environment_alone_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTNER_TEST_ONLY", "x")
    assert read_environment(tmp_path / ".env")["PARTNER_TEST_ONLY"] == "x"
