"""KServe v2 over gRPC: one channel, which threads share; tensors go as bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from darts_train.base.optional import require
from darts_train.inference.kserve.protocol import ServerFault, Tensor, brief, nonsense

AGAIN = frozenset({"RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNKNOWN"})
TYPES = {"FP32": np.float32, "FP16": np.float16}
PURPOSE = "predict-remote --protocol grpc"
Answer = TypeVar("Answer")


class Refusal(ServerFault):
    """The server is there, and says no; of a model that it has not, each kind of server with a status of its own."""


@dataclass
class GrpcClient:
    """A server behind gRPC; see `Client`."""

    url: str
    timeout: float
    encrypted: bool = False

    def __post_init__(self) -> None:
        self._library = require("tritonclient.grpc", "serve", PURPOSE)
        self._errors = require("tritonclient.utils", "serve", PURPOSE).InferenceServerException
        self._client = self._library.InferenceServerClient(self.url, ssl=self.encrypted)

    def is_ready(self, name: str, version: str, seconds: float) -> bool:
        """See `Client.is_ready`."""
        options = {"client_timeout": seconds}
        if not self._ask(lambda client: client.is_server_ready(**options), seconds):
            return False
        try:
            return bool(self._ask(lambda client: client.is_model_ready(name, version, **options), seconds))
        except Refusal:
            return False

    def metadata(self, name: str, version: str) -> dict[str, Any]:
        """See `Client.metadata`."""
        found: dict[str, Any] = self._ask(
            lambda client: client.get_model_metadata(name, version, as_json=True, client_timeout=self.timeout)
        )
        return found

    def config(self, name: str, version: str) -> dict[str, Any] | None:
        """See `Client.config`."""
        try:
            found = self._ask(
                lambda client: client.get_model_config(name, version, as_json=True, client_timeout=self.timeout)
            )
        except ServerFault:
            return None
        config: dict[str, Any] = found.get("config") or {}
        return config

    def settle(self) -> None:
        """See `Client.settle`; there is but one form."""

    def infer(self, name: str, version: str, tensor: Tensor, names: tuple[str, str], datatype: str) -> Tensor:
        """See `Client.infer`."""
        given = self._library.InferInput(names[0], list(tensor.shape), datatype)
        given.set_data_from_numpy(tensor)
        wanted = [self._library.InferRequestedOutput(names[1])]
        return self._ask(
            lambda client: _tensor(client.infer(name, [given], version, wanted, client_timeout=self.timeout), names[1])
        )

    def _ask(self, question: Callable[[Any], Answer], seconds: float | None = None) -> Answer:
        """The answer to a question, with whatever can go wrong on the way as ServerFault."""
        try:
            return question(self._client)
        except self._errors as error:
            status = str(error.status()).removeprefix("StatusCode.")
            if status == "DEADLINE_EXCEEDED":
                text = f"does not answer within {seconds or self.timeout:g} s (--timeout)"
            elif status == "UNAVAILABLE":
                text = f"cannot be reached ({brief(error.message())})"
            else:
                said = f"refuses: {status} {brief(error.message())}"
                raise Refusal(f"--url: {self.url} {said}.", status in AGAIN) from None
            raise ServerFault(f"--url: {self.url} {text}.", again=True) from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise nonsense(self.url, brief(error)) from None


def _tensor(result: Any, output: str) -> Tensor:
    """An output, in either of the forms that the protocol has; tritonclient reads floats only from raw bytes."""
    found = result.get_output(output)
    if found is None:
        raise ValueError(f"no output {output}")
    if result.get_response().raw_output_contents or found.datatype != "FP32":
        tensor: Tensor = result.as_numpy(output)
        return tensor
    return np.array(found.contents.fp32_contents, np.float32).reshape(list(found.shape))
