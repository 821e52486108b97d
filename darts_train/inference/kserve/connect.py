"""From an address to a client."""

import re

from darts_train.base.errors import UserError
from darts_train.inference.kserve.grpc_client import GrpcClient
from darts_train.inference.kserve.http_client import HttpClient
from darts_train.inference.kserve.protocol import Client
from darts_train.options.serving import RemoteModel

ADDRESS = re.compile(
    r"(?:(?P<scheme>https?|grpcs?)://)?(?P<place>(?:[\w.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d+)(?P<path>/\S*)?)"
)


def connect(remote: RemoteModel) -> Client:
    """A client; nothing is sent yet. Raises UserError for an address that is none, or without the extra `serve`."""
    match = ADDRESS.fullmatch(remote.url.strip())
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise UserError(f"--url: {remote.url} is no address; HOST:PORT is, such as localhost:8000.")
    encrypted = match["scheme"] in ("https", "grpcs")
    if remote.protocol == "http":
        return HttpClient(match["place"].rstrip("/"), remote.timeout, remote.binary, encrypted)
    if match["path"]:
        raise UserError(f"--url: {remote.url} has a path, which gRPC has not; HOST:PORT is enough.")
    return GrpcClient(match["place"], remote.timeout, encrypted)
