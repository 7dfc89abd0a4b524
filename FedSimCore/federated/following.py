"""A ledger and the list of rounds, read as they grow and in portions, for windows that must not be busy. No torch."""

from __future__ import annotations

from pathlib import Path

from FedSimCore.errors import InputError
from FedSimCore.federated.ledger import LedgerEntry, checked_entry
from FedSimCore.federated.status import RoundRecord


class GrowingLines:
    """The whole lines that are appended to a file.

    Attributes:
        path: the file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        """Begin at the file's beginning."""
        self.path = path
        self._read_to = 0

    def update(self, portion: int | None = None) -> list[bytes]:
        """Read what has been appended since the last call.

        Args:
            portion: bytes to read at most, but for a line that is longer; None: all there are.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._read_to)
                content = file.read(portion)
                while portion is not None and b"\n" not in content and (more := file.read(portion)):
                    content += more
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._read_to += len(whole)
        return whole.splitlines()


class LedgerHistory:
    """A site's ledger, its chain of checksums checked as it grows.

    Attributes:
        entries: so far.
        bytes: of all their arrays.
        problem: why the entries after these cannot be trusted; empty while they can.
    """

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self.entries: list[LedgerEntry] = []
        self.bytes = 0
        self.problem = ""
        self._lines = GrowingLines(path)
        self._before = b""

    def update(self, portion: int | None = None) -> list[LedgerEntry]:
        """Read what has been appended and return it; see :meth:`GrowingLines.update`."""
        if self.problem:
            return []
        new: list[LedgerEntry] = []
        try:
            for line in self._lines.update(portion):
                number = len(self.entries) + len(new) + 1
                new.append(checked_entry(self._lines.path, line, number, self._before))
                self._before = line
        except InputError as error:
            self.problem = str(error)
        self.entries += new
        self.bytes += sum(entry.bytes for entry in new)
        return new


class RoundHistory:
    """The rounds that a server has closed; of one that was repeated after a resume the newest record.

    Attributes:
        rounds: by their number, in order.
    """

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self.rounds: dict[int, RoundRecord] = {}
        self._lines = GrowingLines(path)

    def update(self, portion: int | None = None) -> list[RoundRecord]:
        """Read what has been appended and return it; see :meth:`GrowingLines.update`."""
        new: list[RoundRecord] = []
        for line in self._lines.update(portion):
            try:
                record = RoundRecord.model_validate_json(line)
            except ValueError:
                continue  # cut short by a power failure
            new.append(record)
            if self.rounds and record.round <= next(reversed(self.rounds)):
                self.rounds = {number: old for number, old in self.rounds.items() if number < record.round}
            self.rounds[record.round] = record
        return new
