"""Proof of the audit trail: every segment's chain and numbering, read from the first byte to the last.

A crash leaves an incomplete last line, a torn tail, and nothing else; whatever else is wrong was done to the file.
What a cut at the end of a segment, a segment that is gone or a chain made anew looks like from here: nothing.
Checkpoints tell that: given them, each segment is held against all that was ever signed of it.
A segment that was purged is gone with a record: an event of the trail says its length and its head, a checkpoint too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from partner_pipelines.state.audit_chain import Chain, Claim
from partner_pipelines.state.audit_purge import PurgedSegment
from partner_pipelines.state.audit_segment import is_living, list_segments
from partner_pipelines.state.audit_signed import Signed
from partner_pipelines.state.files import state_errors


@dataclass(frozen=True, slots=True)
class TornTail:
    """An incomplete last line: a crash in the middle of a write, or a `living` writer in the middle of one."""

    segment: str
    line: int
    living: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """The first line of a segment that is not what its writer wrote. What follows it proves nothing."""

    segment: str
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class SegmentProof:
    """One segment's good records: how many, their bytes, the last one's hash; and what stands behind them.

    `purged` is what its events say of other segments.
    """

    segment: str
    records: int
    bytes: int
    head: str
    living: bool
    problem: Problem | None = None
    torn_tail: TornTail | None = None
    purged: tuple[PurgedSegment, ...] = ()


@dataclass(slots=True)
class VerifyReport:
    """What was looked at, and what was wrong. The trail is proved when `problems` is empty.

    `purged` are the segments that are gone with a record, by name. `unsigned` are records that no checkpoint lists yet.
    """

    segments: int = 0
    records: int = 0
    torn_tails: list[TornTail] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    purged: dict[str, PurgedSegment] = field(default_factory=dict)
    unsigned: int = 0
    signed: Signed | None = None


def verify(segments: Path, read: Callable[[], Signed] | None = None) -> VerifyReport:
    """Checks the whole trail; with `read`, which gives what is signed of it, against that too.

    Raises:
        StateError: a segment cannot be read.
        NewerSchemaError: a newer version of this program wrote one.
    """
    report = VerifyReport()
    proofs: dict[str, SegmentProof] = {}
    signed = read() if read else None  # first: what segments hold only grows
    claims = signed.proof.claims if signed else {}
    for path in list_segments(segments):
        proof = verify_segment(path, tuple(claims.get(path.stem, ())))
        if proof is None:
            continue
        proofs[proof.segment] = proof
        report.segments += 1
        report.records += proof.records
        if proof.problem:
            report.problems.append(proof.problem)
        elif proof.torn_tail:
            report.torn_tails.append(proof.torn_tail)
    _check_purged(proofs, report)
    if read and signed:
        report.signed = signed if _gone(signed, proofs) == [] else read()  # a purge may have come in between
        _check_signed(report.signed, proofs, report)
    return report


def _gone(signed: Signed, proofs: Mapping[str, SegmentProof]) -> list[str]:
    return sorted(signed.proof.standing.keys() - proofs.keys())


def _check_signed(signed: Signed, proofs: Mapping[str, SegmentProof], report: VerifyReport) -> None:
    report.problems.extend(Problem(bad.place, bad.line, bad.what) for bad in signed.problems)
    for name in _gone(signed, proofs):
        claim = signed.proof.standing[name]
        what = f"the segment is gone, no checkpoint announces that; {claim.where} signed {claim.records} records of it"
        report.problems.append(Problem(name, 1, what))
    for name, claim in signed.proof.purged.items():
        told = report.purged.get(name)
        if told is not None and (told.records, told.bytes, told.head) != (claim.records, claim.bytes, claim.head):
            what = f"its purge record says {told.records} records, {claim.where} announced {claim.records}"
            report.problems.append(Problem(name, told.records, what))
        elif told is None and name not in proofs:
            report.problems.append(
                Problem(name, 1, f"{claim.where} announced its purge, the trail has no record of it")
            )
    standing = signed.proof.standing
    report.unsigned = sum(
        proof.records - (standing[name].records if name in standing else 0) for name, proof in proofs.items()
    )


def verify_segment(path: Path, claims: Sequence[Claim] = ()) -> SegmentProof | None:
    """One segment, read from the first byte to the last; None when it was purged since the directory was listed.

    `claims` are what checkpoints say of it.

    Raises:
        StateError: it cannot be read.
        NewerSchemaError: a newer version of this program wrote it.
    """
    with state_errors("read", path):
        try:
            file = path.open("rb", buffering=1 << 20)
        except FileNotFoundError:
            return None
        with file:
            living = is_living(file.fileno())
            chain = Chain(path, claims)
            what, torn = chain.read(file)
            if what and living:
                # The writer may have cut back half a record between two of our reads: that reads well the second time.
                file.seek(0)
                chain = Chain(path, claims)
                what, torn = chain.read(file)
    after = chain.records + 1
    return SegmentProof(
        segment=path.stem,
        records=chain.records,
        bytes=chain.bytes,
        head=chain.head,
        living=living,
        problem=Problem(path.stem, after, what) if what else None,
        torn_tail=TornTail(path.stem, after, living) if torn else None,
        purged=tuple(chain.purged),
    )


def _check_purged(proofs: Mapping[str, SegmentProof], report: VerifyReport) -> None:
    """A purge that was interrupted leaves the file beside its record; both must then say the same."""
    for proof in proofs.values():
        for gone in proof.purged:
            known = report.purged.setdefault(gone.segment, gone)
            left = proofs.get(gone.segment)
            if left is not None and (left.bytes, left.head) != (gone.bytes, gone.head):
                what = f"its purge record in {proof.segment} says {gone.bytes} bytes that end in {gone.head}"
                report.problems.append(Problem(gone.segment, left.records, what))
            elif known != gone:
                what = f"{proof.segment} and an earlier segment tell different things of its purge"
                report.problems.append(Problem(gone.segment, gone.records, what))
    for name in proofs:
        report.purged.pop(name, None)
