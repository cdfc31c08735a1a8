"""The benchmarks measure what they claim: the workloads are right, and the command reports correctly."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import client, parser, workloads
from benchmarks.measure import Result, interleaved, ratio
from benchmarks.workloads import Workload
from chatgpt4online import Event, EventParser, Notice, Text

pytestmark = pytest.mark.slow

COUNT = 500
MAKERS: dict[str, Callable[[], Workload]] = {
    "tokens": lambda: workloads.tokens(COUNT),
    "burst": lambda: workloads.burst(COUNT * 8),  # two pieces of 64 KiB, and a half
    "drip": lambda: workloads.drip(COUNT),
    "escapes": lambda: workloads.escapes(COUNT),
    "escapes burst": lambda: workloads.escapes_burst(COUNT * 8),
    "notices": lambda: workloads.notices(COUNT),
    "huge": lambda: workloads.huge(200_000),
}
CAPTURE = Path(__file__).parent.parent / "captures" / "3.6.2" / "debug_tool.resp.http"


@pytest.fixture(params=MAKERS)
def workload(request: pytest.FixtureRequest) -> Workload:
    return MAKERS[request.param]()


def parse(pieces: Iterable[bytes]) -> list[Event]:
    event_parser = EventParser()
    return list(chain.from_iterable(map(event_parser.receive_data, pieces)))


def frames(workload: Workload) -> bytes:
    return b"".join(b"data: " + payload.encode() + b"\n\n" for payload in workload.payloads)


def test_parsed_events_equal_the_events_of_the_workload(workload: Workload) -> None:
    assert parse(workload.pieces) == workload.events


def test_pieces_join_to_the_framed_payloads(workload: Workload) -> None:
    assert b"".join(workload.pieces) == frames(workload)


def test_each_payload_is_the_json_of_its_event(workload: Workload) -> None:
    assert len(workload.payloads) == len(workload.events)
    for payload, event in zip(workload.payloads, workload.events, strict=True):
        fields = json.loads(payload)
        assert fields.pop("type") == "live"
        if isinstance(event, Text):
            assert fields == {"data": event.text}
        else:
            assert isinstance(event, Notice)
            assert fields.pop("metadata", {}) == event.metadata
            assert fields == {
                "data": event.text,
                "timestamp": event.timestamp,
                "subtype": event.kind,
                "visibility": event.visibility,
            }


def test_payloads_are_encoded_as_in_php(workload: Workload) -> None:
    for payload in workload.payloads:
        assert payload.isascii()
        assert not re.search(r"(?<!\\)/", payload)


def test_workloads_are_the_same_each_time() -> None:
    assert all(make() == make() for make in MAKERS.values())


@pytest.mark.parametrize("name", ["tokens", "escapes", "notices"])
def test_each_piece_has_one_event(name: str) -> None:
    workload = MAKERS[name]()
    assert [parse([piece]) for piece in workload.pieces] == [[event] for event in workload.events]


@pytest.mark.parametrize(
    ("name", "size"), [("burst", 65_536), ("escapes burst", 65_536), ("drip", 17), ("huge", 1_024)]
)
def test_cut_pieces_have_their_size(name: str, size: int) -> None:
    *pieces, last = MAKERS[name]().pieces
    assert len(pieces) >= 2
    assert {len(piece) for piece in pieces} == {size}
    assert 0 < len(last) <= size


def test_payloads_are_equal_for_each_cut() -> None:
    tokens, burst, drip = (make(COUNT) for make in (workloads.tokens, workloads.burst, workloads.drip))
    assert tokens.payloads == burst.payloads == drip.payloads
    assert workloads.escapes(COUNT).payloads == workloads.escapes_burst(COUNT).payloads


def test_drip_pieces_are_smaller_than_an_event_and_cut_everywhere() -> None:
    workload = workloads.drip(COUNT)
    assert all(len(payload) > workloads.DRIP for payload in workload.payloads)
    ends = {piece[-1:] for piece in workload.pieces}
    assert ends >= {b":", b" ", b'"', b"{", b"}", b"\n", b"a"}


def test_tokens_are_short_and_escapes_are_cyrillic() -> None:
    assert max(map(len, workloads.tokens(COUNT).payloads)) < 50
    letters = [event.text.strip() for event in workloads.escapes(COUNT).events if isinstance(event, Text)]
    russian = [text for text in letters if re.fullmatch("[\u0401\u0410-\u0451]+", text)]
    assert len(russian) > 0.7 * len(letters)
    assert "\\u04" in workloads.escapes(1).payloads[0]


def test_huge_is_one_event_of_exactly_its_size() -> None:
    whole, half = workloads.huge(), workloads.huge(workloads.HUGE // 2)
    for workload, size in ((whole, 5_000_000), (half, 2_500_000)):
        assert sum(map(len, workload.pieces)) == size
        assert parse(workload.pieces) == workload.events
        assert len(workload.events) == 1


def test_notices_have_the_shape_that_a_site_sends() -> None:
    sent = [json.loads(line[6:]) for line in CAPTURE.read_text().splitlines() if '"subtype"' in line]
    made = [json.loads(payload) for payload in workloads.notices(COUNT).payloads]
    shapes = {tuple(fields) for fields in sent}
    assert shapes == {("type", "data", "timestamp", "subtype", "visibility", "metadata")}
    assert {tuple(fields) for fields in made} == shapes | {shape[:-1] for shape in shapes}  # metadata is optional
    same = {(fields["subtype"], fields["data"]): fields for fields in made}
    for fields in sent:
        twin = same.get((fields["subtype"], fields["data"]))
        if twin:
            assert twin["visibility"] == fields["visibility"]
            assert list(twin["metadata"]) == list(fields["metadata"])
    assert {fields["subtype"] for fields in sent} <= {fields["subtype"] for fields in made}
    times = [fields["timestamp"] for fields in made]
    assert times == sorted(set(times))


@pytest.mark.parametrize("text", [" weather", "x" * 1000, "y" * 70_000])
def test_repeated_joins_to_whole_events(text: str) -> None:
    payload = workloads.encode_text(text)
    pieces = list(workloads.repeated(payload, 4000 if len(text) < 100 else 200))
    assert {len(piece) for piece in pieces[:-1]} == {65_536}
    assert b"".join(pieces) == b"data: %b\n\n" % payload.encode() * (4000 if len(text) < 100 else 200)


@pytest.mark.parametrize("peer", parser.peers())
def test_peers_decode_every_payload(peer: str, workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    real = json.loads
    monkeypatch.setattr(json, "loads", lambda payload: decoded.append(real(payload)))
    parser.peers()[peer](workload.pieces)
    monkeypatch.undo()
    assert decoded == [json.loads(payload) for payload in workload.payloads]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with client.serving() as url:
        yield url


@pytest.mark.parametrize("way", client.ways())
def test_each_way_returns_all_pieces_of_every_answer(way: str, site: str) -> None:
    with asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))
        with closing(client.Asker(client.ways()[way], site, runner)) as asker:
            assert [asker.ask(prompt) for prompt in ("3 0", "300 0", "4 0.001", "3 0")] == [3, 300, 4, 3]
        assert 0 < client.first_event(client.ways()[way], site, runner) < 10


def test_chunk_parser_of_the_benchmark_works_at_any_cut() -> None:
    answer = client._whole(20)
    texts = [event.text for event in workloads.tokens(20).events if isinstance(event, Text)]
    for size in (1, 7, 100, 10_000):
        chunks, lines = client._Chunks(), client._Lines()
        pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
        assert [text for piece in pieces for text in lines.texts(chunks.feed(piece))] == texts
        assert chunks.over


def test_many_streams_have_positive_figures(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_STREAMS", {10: 0.3})
    figures = asyncio.run(client._stream_many("AsyncClient", 10, site))
    assert figures.keys() == {"cpu", "kb", "p99"}
    assert figures["cpu"] > 0 < figures["p99"]


def test_interleaved_alternates_and_drops_the_first_round() -> None:
    calls: list[str] = []

    def call(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    figures = interleaved({"a": partial(call, "a"), "b": partial(call, "b")}, 2)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert figures == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_ratio_is_the_median_of_the_rounds() -> None:
    assert ratio([1.0, 6.0, 100.0], [1.0, 2.0, 10.0]) == 3.0


def test_result_is_missed_only_beyond_a_tenth() -> None:
    reached, near, far = (Result("w", value, 1.0) for value in (1.0, 1.05, 1.2))
    assert (reached.ok, near.ok, far.ok) == (True, False, False)
    assert (reached.missed, near.missed, far.missed) == (False, False, True)


def test_table_has_no_column_for_an_absent_peer() -> None:
    one, two = Result("a", 0.5, 1.0, peers={"p": 2.0}), Result("b", 1.5, 1.0, "MB", "why")
    assert [line.split() for line in command.table([one]).splitlines()] == [
        ["workload", "ours", "mark", "ok?", "p"],
        ["a", "0.50", "<=", "1.00", "x", "yes", "2.00"],
    ]
    assert [line.split() for line in command.table([two]).splitlines()] == [
        ["workload", "ours", "mark", "ok?"],
        ["b", "1.50", "<=", "1.00", "MB", "NO", "why"],
    ]


class FakeBenchmark:
    """A benchmark that gives one result without measuring."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.rounds: list[int] = []

    def run(self, rounds: int) -> list[Result]:
        self.rounds.append(rounds)
        return [Result("w", self.value, 1.0)]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeBenchmark]:
    fakes = {
        "benchmarks.good": FakeBenchmark(0.9),
        "benchmarks.near": FakeBenchmark(1.05),
        "benchmarks.bad": FakeBenchmark(2),
    }
    monkeypatch.setattr(command, "BENCHMARKS", {"good": "reaches it", "near": "nearly", "bad": "misses it"})
    monkeypatch.setattr(command, "import_module", fakes.__getitem__)
    return fakes


@pytest.mark.parametrize(
    ("arguments", "status"),
    [([], 0), (["bad"], 0), (["--check"], 1), (["--check", "bad"], 1), (["--check", "good", "near"], 0)],
)
def test_status_is_zero_unless_checked(fakes: dict[str, FakeBenchmark], arguments: list[str], status: int) -> None:
    assert command.main(arguments) == status


def test_runs_the_named_ones_with_their_rounds(
    fakes: dict[str, FakeBenchmark], capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(["good", "--rounds", "3"])
    assert [fake.rounds for fake in fakes.values()] == [[3], [], []]
    assert "good: reaches it" in capsys.readouterr().out


def test_json_is_one_object(fakes: dict[str, FakeBenchmark], capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--json", "good", "bad"])
    said = json.loads(capsys.readouterr().out)
    assert [(name, [one["ok"] for one in results]) for name, results in said.items()] == [
        ("good", [True]),
        ("bad", [False]),
    ]
    assert said["good"][0]["value"] == 0.9


@pytest.mark.parametrize("arguments", [["nonsense"], ["--rounds", "0"], ["--rounds", "x"]])
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        command.main(arguments)
    assert error.value.code == 2
    assert "usage: python -m benchmarks" in capsys.readouterr().err


def test_help_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    said = capsys.readouterr().out
    assert all(f"{name} " in said and what in said for name, what in command.BENCHMARKS.items())


def test_every_benchmark_of_the_table_has_a_run() -> None:
    for name in command.BENCHMARKS:
        assert callable(import_module(f"benchmarks.{name}").run)
