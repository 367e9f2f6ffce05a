"""A private SQLite file: mode 0600, what is deleted is overwritten, what is committed is on the disk.

In rollback-journal mode (in WAL mode SQLite before 3.51.3 can lose committed writes), opened for one transaction
under a blocking lock: whoever changes or restores the file meets no process that still holds an old one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.files import PRIVATE_FILE, locked, make_directory, state_errors, sync_directory


@dataclass(frozen=True, slots=True)
class PrivateSQLite:
    """One such file, for any number of processes and threads.

    `name` is what sentences call it. `steps` are SQL scripts: each takes a file to the next schema, the first makes it.
    """

    path: Path
    name: str
    steps: Sequence[str]

    def exists(self) -> bool:
        """Whether it was ever made. Raises StateError."""
        with state_errors(f"read the {self.name}", self.path):
            return self.path.exists()

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """The database, nobody else's meanwhile; made where it is not there. Transactions are the caller's.

        Raises:
            StateError: also for any sqlite3.Error inside.
            NewerSchemaError: a newer version of this program wrote it.
        """
        make_directory(self.path.parent)
        with locked(self.path.with_name(f"{self.path.name}.lock")), self._errors():
            self._create()
            with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
                self._prepare(database)
                yield database

    def copy_to(self, target: Path) -> None:
        """The database as it is between two transactions, in a new file of mode 0600. Raises StateError."""
        with self.opened() as database, state_errors("write", target):
            copy_database(database, target)

    def _create(self) -> None:
        # SQLite would make it readable for the group; its journal takes the mode of the database
        with state_errors(f"make the {self.name}", self.path):
            if not self.path.exists():
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE))
                sync_directory(self.path.parent)

    def _prepare(self, database: sqlite3.Connection) -> None:
        # FULL leaves the journal's end to a later sync of the directory: until then power loss undoes what is committed
        database.execute("PRAGMA synchronous = EXTRA")
        database.execute("PRAGMA secure_delete = ON")
        (found,) = database.execute("PRAGMA user_version").fetchone()
        NewerSchemaError.check(self.path, found, len(self.steps))
        if found < len(self.steps):
            missing = "".join(f"{step};" for step in self.steps[found:])
            database.executescript(f"BEGIN IMMEDIATE; {missing} PRAGMA user_version = {len(self.steps):d}; COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # SQLite's sentences name files and tables, never values
            raise StateError(f"the {self.name} {self.path} cannot be used: {error}") from error


def copy_database(database: sqlite3.Connection, path: Path) -> None:
    """The database as it is now, in a new file of mode 0600. Raises OSError, sqlite3.Error."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE))
    with closing(sqlite3.connect(path)) as copy:
        database.backup(copy)
