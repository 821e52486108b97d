"""Maps by a network behind HTTP: the same as those of `predict`; what a server may do wrong is said in a line."""

import json
import socket
from threading import Barrier

import numpy as np
import pytest
import tritonclient.http

from darts_train.base.errors import UserError
from darts_train.inference.kserve import patience
from darts_train.inference.predict_remote import open_remote, predict_remote
from darts_train.inference.writing import unfinished
from darts_train.options.predicting import Maps, SceneFiles, Windows
from darts_train.options.serving import RemoteModel
from tests.inference.test_predict import crop
from tests.support.kserve import BANDS, facts, serve, write_onnx
from tests.support.predicting import predicted

RNG = np.random.default_rng(1)
CODES = RNG.integers(0, 10000, (3, len(BANDS), 32, 32)).astype(np.uint16)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_onnx(tmp_path_factory.mktemp("net") / "net.onnx")


@pytest.fixture
def site(net):
    with serve(net) as (site, address):
        site.address = address
        yield site


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patience, "POLL", 0.02)


def remote(site, net, **changes) -> RemoteModel:
    settings = {"url": site.address, "model_name": "net", "model": net, "wait_seconds": 0.0, "timeout": 5.0}
    return RemoteModel(**(settings | changes))


def logits(site, net, codes=CODES, **changes):
    with open_remote(remote(site, net, **changes), None) as (model, _):
        return model.backend.logits(codes)


def expected(net, codes=CODES):
    from darts_train.inference.models import open_model

    return open_model(net, None, None)[0].backend.logits(codes)


def test_a_map_is_that_of_predict_byte_for_byte(site, net, tmp_path):
    scene = crop(tmp_path / "scene.tif", (90, 60))
    here = predicted(model=net, input=(scene,), out_dir=tmp_path / "here").maps[0]
    there = predict_remote(
        remote=remote(site, net, concurrent=2),
        scenes=SceneFiles(input=(scene,)),
        windows=Windows(),
        maps=Maps(out_dir=tmp_path / "there"),
    ).maps[0]
    assert there.probabilities.read_bytes() == here.probabilities.read_bytes()
    assert there.classes.read_bytes() == here.classes.read_bytes()
    assert there.polygons == here.polygons
    assert set(site.kinds) == {True}


def test_bytes_are_those_of_the_protocol(site, net):
    logits(site, net, CODES[:1])
    client = tritonclient.http
    given = client.InferInput("image", [1, 6, 32, 32], "FP32")
    given.set_data_from_numpy(np.clip(CODES[:1] * np.float32(1e-4), 0, 1), binary_data=True)
    wanted = [client.InferRequestedOutput("logits", binary_data=True)]
    body, length = client.InferenceServerClient.generate_request_body([given], outputs=wanted)
    assert site.bodies == [body]
    answer, headers = site.infer(body, str(length))
    (header,) = headers.values()
    parsed = client.InferenceServerClient.parse_response_body(answer, header_length=int(header))
    np.testing.assert_array_equal(parsed.as_numpy("logits"), expected(net, CODES[:1]))


def test_numbers_as_json_are_the_same_numbers(site, net):
    np.testing.assert_array_equal(logits(site, net, binary=False), expected(net))
    assert site.kinds == [False]


def test_a_server_without_the_extension_is_sent_json(site, net):
    site.server = {"name": "mlserver", "extensions": []}
    np.testing.assert_array_equal(logits(site, net), expected(net))
    assert site.kinds == [False]


@pytest.mark.parametrize(
    ("fit", "size"), [({"fit": "pad", "fit_size": 48, "stride": 16}, 48), ({"fit": "resize", "fit_size": 64}, 64)]
)
def test_windows_are_fitted_as_in_training(fit, size, tmp_path):
    net = write_onnx(tmp_path / "net.onnx", said=facts(**fit))
    codes = np.where(RNG.random(CODES.shape) < 0.1, np.uint16(65535), CODES)
    with serve(net) as (site, site_address):
        site.address = site_address
        np.testing.assert_array_equal(logits(site, net, codes), expected(net, codes))
        image = json.loads(site.bodies[0].split(b"}]}")[0] + b"}]}")["inputs"][0]
    assert image["shape"] == [3, 6, size, size]


def test_several_requests_at_once_come_back_in_order(site, net):
    site.meeting = Barrier(3)  # none is answered before all three are there
    np.testing.assert_array_equal(logits(site, net, concurrent=3), expected(net))
    assert site.sizes == [1, 1, 1]


def test_no_request_is_larger_than_the_server_takes(site, net):
    site.config = {"max_batch_size": 2}
    np.testing.assert_array_equal(logits(site, net), expected(net))
    assert site.sizes == [2, 1]


def test_a_batch_that_is_fixed_is_filled_up(site, net):
    site.metadata["inputs"][0]["shape"][0] = 2
    np.testing.assert_array_equal(logits(site, net), expected(net))
    assert site.sizes == [2, 2]


@pytest.mark.parametrize("kind", ["values", "codes"])
def test_graphs_of_other_kinds_are_asked_as_in_predict(kind, tmp_path):
    said = facts(graph_input=kind, graph_activation=True)
    net = write_onnx(tmp_path / "net.onnx", said=said, activated=True)
    codes = CODES // 1000 if kind == "codes" else CODES
    with serve(net) as (site, address):
        site.address = address
        np.testing.assert_array_equal(logits(site, net, codes), expected(net, codes))
        assert np.isfinite(expected(net, codes)).any()
        with pytest.raises(UserError, match=f"takes {kind}, NaN where") as error:
            logits(site, net, codes, binary=False)
        assert one_line(error)
        if kind == "codes":
            site.metadata["inputs"][0]["datatype"] = "FP16"
            with pytest.raises(UserError, match="as FP16"):
                logits(site, net, codes)


def test_windows_move_by_the_stride(site, net):
    with open_remote(remote(site, net), None) as (model, _):
        assert model.stride == 8


def test_a_failed_request_is_sent_again(site, net):
    site.faults.extend([500, 503])
    np.testing.assert_array_equal(logits(site, net, retries=2), expected(net))
    site.faults.extend([500, 503])
    with pytest.raises(UserError, match=r"refuses: 503 .*out of order") as error:
        logits(site, net, retries=1)
    assert one_line(error)


def test_nothing_is_sent_again_after_the_end(site, net):
    site.faults.extend([500, 500])
    with open_remote(remote(site, net), None) as (model, _):
        model.backend.session.patience.over.set()
        with pytest.raises(UserError, match="500"):
            model.backend.logits(CODES)
    assert list(site.faults) == [500]


def test_a_slow_answer_is_waited_for_no_longer_than_told(site, net):
    site.faults.extend([5.0])
    with pytest.raises(UserError, match=r"does not answer within 0\.4 s"):
        logits(site, net, retries=0, timeout=0.4)
    site.faults.extend([5.0])
    np.testing.assert_array_equal(logits(site, net, retries=1, timeout=0.4), expected(net))


def test_what_cannot_help_is_not_sent_again(site, net):
    site.faults.extend([400, 400])
    with pytest.raises(UserError, match="refuses: 400"):
        logits(site, net, retries=5)
    assert list(site.faults) == [400]


def one_line(error) -> bool:
    return len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 300


NAN = np.float32("nan")
HTML = b"<html><body>Welcome</body></html>"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda site: site.faults.append(HTML), "answers what is no KServe v2"),
        (lambda site: site.faults.append(b'{"outputs": 3}'), "answers what is no KServe v2"),
        (lambda site: site.faults.append(b'{"outputs": []}'), "no output logits"),
        (lambda site: site.faults.append(b'{"outputs": [{"name": "logits"}]}'), "answers what is no KServe v2"),
        (
            lambda site: setattr(site, "change", lambda y: y[:, :, 1:]),
            r"answers logits of float32 \[3, 1, 31, 32\], not",
        ),
        (lambda site: setattr(site, "change", lambda y: y * NAN), "no numbers"),
    ],
)
def test_nonsense_in_place_of_logits(change, words, site, net):
    change(site)
    with pytest.raises(UserError, match=words) as error:
        logits(site, net)
    assert one_line(error)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: HTML, "answers what is no KServe v2"),
        (lambda m: b"[1, 2]", "no JSON object"),
        (lambda m: m | {"name": "other"}, "asked for net, it speaks of other"),
        (lambda m: m | {"inputs": []}, "does not say which inputs"),
        (lambda m: m | {"inputs": m["inputs"] * 2}, "takes 2 inputs"),
        (lambda m: m | {"inputs": [{"name": "image"}]}, "inputs without 'datatype'"),
        (lambda m: tensor(m, "inputs", datatype="INT64"), "takes INT64"),
        (lambda m: tensor(m, "inputs", shape=[-1, 4, -1, -1]), "bands are blue, green"),
        (lambda m: tensor(m, "inputs", shape=[-1, 6, 64, 64]), "--window-size: 32 does not fit net"),
        (lambda m: tensor(m, "inputs", shape=[-1, 6, 64, -1]), "no squares"),
        (
            lambda m: tensor(m, "inputs", shape=[float("inf"), 6, 32, 32]),
            "inputs without cannot convert float infinity",
        ),
        (lambda m: tensor(m, "inputs", shape=[10**9, 6, 32, 32]), "takes 1000000000 images at a time"),
        (lambda m: tensor(m, "outputs", shape=[-1, 5, -1, -1]), "classes are background, cloud"),
        (lambda m: tensor(m, "outputs", shape=[-1, 1]), r"not \[n, 1, h, w\]"),
    ],
)
def test_another_model_than_the_facts_say_is_refused_before_any_work(change, words, site, net, tmp_path):
    site.metadata = change(site.metadata)
    with pytest.raises(UserError, match=words) as error:
        predict_remote(
            remote=remote(site, net),
            scenes=SceneFiles(input=(tmp_path / "none.tif",)),
            windows=Windows(),
            maps=Maps(out_dir=tmp_path / "maps"),
        )
    assert len(str(error.value).splitlines()) <= 2
    assert not (tmp_path / "maps").exists()
    assert not site.bodies


def tensor(metadata, kind, **changes):
    return metadata | {kind: [metadata[kind][0] | changes]}


def test_a_failure_within_a_scene_shows_nothing_of_it_and_the_next_call_goes_on(site, net, tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "STRIP_ROWS", 16)
    scene = crop(tmp_path / "scene.tif", (60, 90))
    windows, out = {"window_batch": 1, "window_overlap": 8}, tmp_path / "maps"
    whole = predicted(model=net, input=(scene,), out_dir=tmp_path / "here", **windows).maps[0]
    given = {"scenes": SceneFiles(input=(scene,)), "windows": Windows(**windows), "maps": Maps(out_dir=out)}
    site.change = lambda y: y if len(site.sizes) < 8 else y * NAN
    with pytest.raises(UserError, match="no numbers"):
        predict_remote(remote=remote(site, net), **given)
    assert [path.name for path in out.iterdir()] == [".scene.unfinished"]
    site.change = lambda y: y
    site.sizes.clear()
    found = predict_remote(remote=remote(site, net), **given).maps[0]
    assert [path.name for path in out.iterdir()] == ["scene"]
    assert found.probabilities.read_bytes() == whole.probabilities.read_bytes()
    assert len(site.sizes) < predict_remote(remote=remote(site, net, dry_run=True), **given).planned_windows


@pytest.mark.parametrize(("overlap", "count"), [(8, 0), (None, 3)])
def test_a_dry_run_asks_for_no_more_than_the_reach(site, net, tmp_path, overlap, count):
    """Three windows of noise tell how far the network looks, on which the number of windows depends."""
    scene = crop(tmp_path / "scene.tif", (64, 64))
    plan = predict_remote(
        remote=remote(site, net, dry_run=True),
        scenes=SceneFiles(input=(scene,)),
        windows=Windows(window_overlap=overlap),
        maps=Maps(out_dir=tmp_path / "maps"),
    )
    assert plan.planned_windows == 9
    assert len(site.bodies) == count


def test_another_model_of_the_name_is_another_map(site, net, tmp_path):
    given = {
        "scenes": SceneFiles(input=(crop(tmp_path / "scene.tif", (32, 32)),)),
        "windows": Windows(),
        "maps": Maps(out_dir=tmp_path / "maps"),
    }
    assert not predict_remote(remote=remote(site, net), **given).maps[0].kept
    assert predict_remote(remote=remote(site, net), **given).maps[0].kept
    site.metadata = site.metadata | {"versions": ["1", "2"]}
    with pytest.raises(UserError, match="of another model"):
        predict_remote(remote=remote(site, net), **given)


def test_the_server_can_say_what_its_model_is(site, net):
    text = json.dumps(facts(threshold=0.25))
    other = json.dumps(facts(threshold=0.75))
    site.config = {
        "parameters": {"darts.facts.9": {"string_value": text}, "darts.facts.10": {"string_value": other}, "x": {}}
    }
    with open_remote(remote(site, net, model=None), None) as (model, size):
        assert (model.threshold, size, model.classes) == (0.75, 32, ("background", "cloud"))
    with open_remote(remote(site, net, model=None, model_version=9), None) as (model, _):
        assert model.threshold == 0.25
    damaged = [{"parameters": {"darts.facts.1": {"string_value": text}}} for text in ("{", "[" * 100_000)]
    for config in (None, {}, {"parameters": 3}, *damaged):
        site.config = config
        with pytest.raises(UserError, match="give --model"):
            logits(site, net, model=None)


def test_waiting_for_a_model_that_becomes_ready(site, net, monkeypatch):
    site.ready = False
    with pytest.raises(UserError, match="--model-name: net is not there, or not ready"):
        logits(site, net, wait_seconds=0.05)
    monkeypatch.setattr(patience.time, "sleep", lambda _: setattr(site, "ready", True))
    np.testing.assert_array_equal(logits(site, net, wait_seconds=5.0), expected(net))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_that_is_not_there(protocol, net):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = RemoteModel(url=address, protocol=protocol, model_name="net", model=net, wait_seconds=0.0)
    with pytest.raises(UserError, match="cannot be reached") as error, open_remote(settings, None):
        pass
    assert one_line(error)


def test_http_where_grpc_is_wanted(site, net):
    with pytest.raises(UserError, match=f"--url: {site.address}") as error:
        logits(site, net, protocol="grpc")
    assert one_line(error)


@pytest.mark.parametrize("url", ["", "localhost", "localhost:99999", "ftp://a:1", "a b:80", "localhost:8001/x"])
def test_what_is_no_address(url, net):
    settings = RemoteModel(url=url, protocol="grpc", model_name="net", model=net)
    with pytest.raises(UserError, match="--url"), open_remote(settings, None):
        pass


def test_facts_of_files_that_say_none(site, net, tmp_path):
    bare = write_onnx(tmp_path / "bare.onnx", said={"a": "b"})
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "engine.plan").write_bytes(b"\0" * 9)
    for place in (bare, *tmp_path.glob("*.json"), tmp_path / "engine.plan", tmp_path / "gone.onnx"):
        with pytest.raises(UserError, match=place.name) as error:
            logits(site, net, model=place)
        assert one_line(error)
    (tmp_path / "engine.plan.json").write_text(json.dumps(facts()))
    np.testing.assert_array_equal(logits(site, net, model=tmp_path / "engine.plan"), expected(net))
