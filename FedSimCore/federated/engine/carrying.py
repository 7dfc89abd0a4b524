"""Requests and replies as NVFlare's DXOs: arrays are its data, everything else one JSON text beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.shareable import Shareable

from FedSimCore.errors import InputError
from FedSimCore.federated.messages import Reply, Request

TASK = "fedsim"
"""Name of every task of ours on NVFlare's task plane."""
_META = "fedsim"


def to_shareable(message: Request | Reply) -> Shareable:
    """Return a message as NVFlare carries it."""
    facts: dict[str, Any] = {"kind": message.kind, "round": message.round, "values": dict(message.values)}
    if isinstance(message, Reply):
        facts["site"] = message.site
    shareable: Shareable = DXO(
        DataKind.WEIGHTS, data=dict(message.arrays), meta={_META: json.dumps(facts)}
    ).to_shareable()
    return shareable


def request_of(shareable: Shareable) -> Request:
    """Return the request that was carried.

    Raises:
        InputError: it is none.
    """
    facts, arrays = _parts(shareable)
    return Request(facts["kind"], int(facts["round"]), arrays, facts["values"])


def reply_of(shareable: Shareable) -> Reply:
    """Return the reply that was carried.

    Raises:
        InputError: it is none.
    """
    facts, arrays = _parts(shareable)
    return Reply(str(facts["site"]), facts["kind"], int(facts["round"]), arrays, facts["values"])


def _parts(shareable: Shareable) -> tuple[dict[str, Any], Mapping[str, Any]]:
    try:
        dxo = from_shareable(shareable)
        facts = json.loads(dxo.meta[_META])
        arrays = {str(name): np.asarray(array) for name, array in dxo.data.items()}
        if not {"kind", "round", "values"} <= set(facts):
            raise ValueError("kind, round or values are missing")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"A message is not FedSim's ({error}); update FedSim at server and sites.") from error
    return facts, arrays
