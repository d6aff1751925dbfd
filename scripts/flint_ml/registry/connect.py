"""Open the registry that an address names."""

from __future__ import annotations

from collections.abc import Mapping

from flint_ml.registry.address import Address
from flint_ml.registry.store import Store


def connect(address: Address, env: Mapping[str, str]) -> Store:
    """The registry at ``address``.

    Raises
    ------
    OutsideError
        If it cannot be reached or used; a server that is down is reported within ten seconds.
    """
    if address.kind == "server":
        from flint_ml.registry.server_store import ServerStore

        return ServerStore(address, env)
    from flint_ml.registry.sqlite_store import SqliteStore

    return SqliteStore(address)
