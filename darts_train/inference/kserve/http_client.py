"""KServe v2 over HTTP: tensors as bytes after a JSON header (Triton's extension), or all of it as JSON.

tritonclient's HTTP client belongs to one thread, so that each has its own. Its time-outs hold for every read of a
socket; that for the whole answer is gevent's.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from darts_train.base.log import logger
from darts_train.base.optional import require
from darts_train.inference.kserve.protocol import ServerFault, Tensor, brief, nonsense

AGAIN = frozenset({"408", "429", "500", "502", "503", "504"})
EXTENSION = "binary_tensor_data"
PURPOSE = "predict-remote"
Answer = TypeVar("Answer")
_log = logger("inference")


@dataclass
class HttpClient:
    """A server behind HTTP; see `Client`."""

    url: str
    timeout: float
    binary: bool
    encrypted: bool = False
    _own: threading.local = field(default_factory=threading.local, repr=False)

    def __post_init__(self) -> None:
        self._library = require("tritonclient.http", "serve", PURPOSE)
        self._errors = require("tritonclient.utils", "serve", PURPOSE).InferenceServerException
        self._gevent = require("gevent", "serve", PURPOSE)

    def is_ready(self, name: str, version: str, seconds: float) -> bool:
        """See `Client.is_ready`."""
        ask = lambda client: client.is_server_ready() and client.is_model_ready(name, version)  # noqa: E731
        return bool(self._ask(ask, seconds))

    def metadata(self, name: str, version: str) -> dict[str, Any]:
        """See `Client.metadata`."""
        found = self._ask(lambda client: client.get_model_metadata(name, version))
        if not isinstance(found, dict):
            raise nonsense(self.url, "its metadata are no JSON object")
        return found

    def config(self, name: str, version: str) -> dict[str, Any] | None:
        """See `Client.config`."""
        try:
            found = self._ask(lambda client: client.get_model_config(name, version))
        except ServerFault:
            return None
        return found if isinstance(found, dict) else None

    def settle(self) -> None:
        """Tensors go as JSON to a server that names its extensions, and not this one; see `Client.settle`."""
        if not self.binary:
            return
        try:
            told = self._ask(lambda client: client.get_server_metadata()["extensions"])
        except ServerFault:
            return
        if isinstance(told, list) and EXTENSION not in told:
            self.binary = False
            _log.info(
                "%s takes no bytes over HTTP; numbers go as JSON, which is slower than --protocol grpc.", self.url
            )

    def infer(self, name: str, version: str, tensor: Tensor, names: tuple[str, str], datatype: str) -> Tensor:
        """See `Client.infer`."""
        given = self._library.InferInput(names[0], list(tensor.shape), datatype)
        given.set_data_from_numpy(tensor, binary_data=self.binary)
        wanted = [self._library.InferRequestedOutput(names[1], binary_data=self.binary)]
        return self._ask(lambda client: _tensor(client.infer(name, [given], version, wanted), names[1]))

    def _ask(self, question: Callable[[Any], Answer], seconds: float | None = None) -> Answer:
        """The answer to a question, with whatever can go wrong on the way as ServerFault."""
        limit = seconds or self.timeout
        expired = self._gevent.Timeout(limit)
        try:
            with expired:
                return question(self._client())
        except self._gevent.Timeout as error:
            if error is not expired:
                raise
            raise self._fault(f"does not answer within {limit:g} s (--timeout)", True) from None
        except self._errors as error:
            status = str(error.status() or "").removeprefix("[").removesuffix("]")
            raise self._fault(f"refuses: {status} {_message(error)}".rstrip(), status in AGAIN) from None
        except TimeoutError:
            raise self._fault(f"does not answer within {limit:g} s (--timeout)", True) from None
        except OSError as error:
            raise self._fault(f"cannot be reached ({brief(error.strerror or error)})", True) from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise nonsense(self.url, brief(error)) from None
        except Exception as error:  # the HTTP library has classes of its own, which share nothing but Exception
            raise self._fault(f"breaks off ({brief(error)})", True) from None

    def _fault(self, text: str, again: bool) -> ServerFault:
        return ServerFault(f"--url: {self.url} {text}.", again)

    def _client(self) -> Any:
        """This thread's client."""
        if not hasattr(self._own, "client"):
            self._own.client = self._library.InferenceServerClient(
                self.url,
                connection_timeout=self.timeout,
                network_timeout=self.timeout,
                ssl=self.encrypted,
                ssl_context_factory=require("gevent.ssl", "serve", PURPOSE).create_default_context,
            )
        return self._own.client


def _message(error: Any) -> str:
    """What the server says; where its answer is no JSON of Triton's kind, the answer."""
    return brief(error.debug_details() or error.message())


def _tensor(result: Any, output: str) -> Tensor:
    found = result.as_numpy(output)
    if found is None:
        raise ValueError(f"no output {output}")
    tensor: Tensor = found
    return tensor
