"""The last look at what leaves a site: NVFlare calls it for every message, whatever component made it."""

from __future__ import annotations

from nvflare.apis.filter import Filter
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable

from FedSimCore.errors import FedSimError
from FedSimCore.federated.engine.carrying import reply_of
from FedSimCore.federated.engine.executor import read_site_file
from FedSimCore.federated.ledger import LEDGER_NAME, newest_entry
from FedSimCore.federated.messages import checksum_of


class LedgerGuard(Filter):
    """Lets a message out only if it is the newest that the site's ledger has written down.

    A site declares it in its own ``local/privacy.json``, which no server can change.
    """

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """Compare a message with the ledger.

        Raises:
            FedSimError: it is not the ledger's newest; NVFlare then sends an error instead.
        """
        own = read_site_file(fl_ctx)
        reply = reply_of(shareable)
        entry = newest_entry(own.runs / LEDGER_NAME)
        if (
            entry is None
            or (entry.message, entry.round, entry.values) != (reply.kind, reply.round, dict(reply.values))
            or entry.sha256 != checksum_of(reply.arrays)
        ):
            raise FedSimError(f"A message ({reply.kind}) is not in the ledger of {own.name}, so it stays here.")
        return shareable
