"""The audit trail of this process, and the checkpoints that sign it."""

from __future__ import annotations

import atexit
import threading
from pathlib import Path

from partner_pipelines import __version__
from partner_pipelines.settings import Settings
from partner_pipelines.state.audit_checkpoint_thread import CheckpointThread
from partner_pipelines.state.audit_checkpoints import CheckpointPlaces, Checkpoints
from partner_pipelines.state.audit_signing import KeySource
from partner_pipelines.state.audit_trail import AuditTrail
from partner_pipelines.state.data_directory import DataDirectory, is_demo

CHECKPOINT_LOCK = "checkpoint.lock"
"""In `state/`: held by who writes checkpoints, and by who copies them."""

_trails: dict[Path, tuple[AuditTrail, CheckpointThread]] = {}
_trails_lock = threading.Lock()


def process_trail(settings: Settings, data: DataDirectory) -> AuditTrail:
    """The trail of this process: one segment, whatever number of houses it opens; signed, and closed when it ends."""
    with _trails_lock:
        if data.segments not in _trails:
            trail = AuditTrail(data.segments, version=__version__)
            signer = CheckpointThread(Checkpoints(checkpoint_places(settings, data)), trail.record_event)
            signer.start()
            atexit.register(end_trail, data.segments)
            _trails[data.segments] = trail, signer
        return _trails[data.segments][0]


def end_trail(segments: Path) -> None:
    """This process's trail is closed and signed, as far as that can be done. A second call does nothing."""
    with _trails_lock:
        ended = _trails.pop(segments, None)
    if ended is not None:
        trail, signer = ended
        signer.close(trail.close)


def checkpoint_places(settings: Settings, data: DataDirectory) -> CheckpointPlaces:
    """Where the trail's checkpoints are, by the settings. A demo's are not copied: the next demo removes its trail.

    Raises StateError.
    """
    return CheckpointPlaces(
        segments=data.segments,
        directory=data.checkpoints,
        lock=data.state / CHECKPOINT_LOCK,
        keys=KeySource(data.signing_key, settings.audit_key),
        copy=None if is_demo(data.root) else settings.audit_copy,
    )
