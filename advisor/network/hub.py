"""Weights on a hub: found in the local cache first, and missed within a second where there is no network."""

from __future__ import annotations

import queue
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

from advisor.errors import BackboneError

if TYPE_CHECKING:
    from collections.abc import Sequence

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
_PATIENCE = 0.8  # seconds for a name to resolve and a connection to open


def cached_file(repository: str, names: Sequence[str]) -> str:
    """Path of the first of some files of a hub repository that is in the local cache; empty if none is.

    Args:
        repository: `owner/name`, with `@revision` where one is meant.
        names: files, the preferred one first.
    """
    from huggingface_hub import try_to_load_from_cache

    name, _, revision = repository.partition("@")
    for file in names:
        found = try_to_load_from_cache(name, file, revision=revision or None)
        if isinstance(found, str):
            return found
    return ""


def require_hub(what: str, repository: str, names: Sequence[str]) -> None:
    """Return if the hub can be asked for a file that is not in the cache.

    The hub's own client retries for most of a minute before it gives up.

    Args:
        what: the backbone, as typed.
        repository: `owner/name`.
        names: the files that would do.

    Raises:
        BackboneError: there is no network, or the hub's client has been told not to use it.
    """
    from huggingface_hub import constants

    name = repository.partition("@")[0]
    if constants.HF_HUB_OFFLINE:
        reason = "HF_HUB_OFFLINE is set"
    elif not reachable(constants.ENDPOINT):
        reason = f"{urlsplit(constants.ENDPOINT).hostname} cannot be reached"
    else:
        return
    raise BackboneError(
        f"`{what}` needs `{names[0]}` of {name}, which is not in the cache ({constants.HF_HUB_CACHE}), and {reason}.",
        ways=[
            f"on a machine with a network: hf download {name}, then copy its cache folder here",
            "put the file into a folder of checkpoints: advisor weights add FILE (plugin advisor-weights)",
            "give a folder in timm's layout: local-dir:PATH",
            "use a backbone whose weights come as a package: lite0, lite1, lite2",
        ],
        hint=f"hf download {name} {names[0]}",
    )


def reachable(endpoint: str) -> bool:
    """Whether a connection to a server, or to the proxy in front of it, opens within a moment."""
    address = urlsplit(endpoint)
    proxy = getproxies().get(address.scheme)
    if proxy:
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    host, port = address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
    answer: queue.Queue[bool] = queue.Queue()

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=_PATIENCE).close()
        except OSError:
            answer.put(False)
        else:
            answer.put(True)

    # In a thread, because resolving a name has no time limit of its own.
    threading.Thread(target=connect, daemon=True).start()
    try:
        return answer.get(timeout=_PATIENCE)
    except queue.Empty:
        return False
