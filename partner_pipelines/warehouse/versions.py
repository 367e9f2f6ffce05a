"""The gate of a data directory: nothing in it was written by a newer version of this program."""

from __future__ import annotations

from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.versions import refuse_newer_state
from partner_pipelines.warehouse.connection import Warehouse


def refuse_newer(data: DataDirectory) -> None:
    """Returns when this version knows every durable file. Nothing is changed: ask before anything is begun.

    Raises:
        NewerSchemaError: a newer version wrote one of them.
        StateError: one cannot be read.
    """
    refuse_newer_state(data)
    Warehouse(data).refuse_newer()
