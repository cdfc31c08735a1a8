"""The benchmarks measure what they claim: the workloads are right, and the command reports correctly."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest
import requests

from benchmarks import __main__ as command
from benchmarks import (
    asking,
    hostile,
    imports,
    machine,
    parser,
    relay,
    report,
    server,
    streams,
    uploads,
    ways,
    workloads,
)
from benchmarks.decoding import Chunks, FastLines, UsualLines
from benchmarks.measure import Plan, Result, exponent, interleaved, medians, ratios, row
from benchmarks.rows import ROWS, Row
from benchmarks.workloads import Workload
from chatgpt4online import Event, EventParser, Notice, Text, __version__

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COUNT = 500
MAKERS: dict[str, Callable[[], Workload]] = {
    "tokens": lambda: workloads.tokens(COUNT),
    "burst": lambda: workloads.burst(COUNT * 8),  # two pieces of 64 KiB, and a half
    "drip": lambda: workloads.drip(COUNT),
    "escapes": lambda: workloads.escapes(COUNT),
    "escapes burst": lambda: workloads.escapes_burst(COUNT * 8),
    "notices": lambda: workloads.notices(COUNT),
    "huge": lambda: workloads.huge(200_000),
    "notices burst": lambda: workloads.notices_burst(COUNT * 2),
    "long": lambda: workloads.long(COUNT),
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
    ("name", "size"),
    [
        ("burst", 65_536),
        ("escapes burst", 65_536),
        ("notices burst", 65_536),
        ("long", 65_536),
        ("drip", 17),
        ("huge", 1_024),
    ],
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


def test_filler_has_no_events_and_no_reports() -> None:
    pieces = workloads.filler(20_000)
    assert len(pieces) >= 2
    assert b"".join(pieces).count(b"\n") == 20_000
    assert parse(pieces) == []


@pytest.mark.parametrize("lines", [FastLines, UsualLines])
def test_decoders_give_the_texts_of_the_events(lines: type[FastLines] | type[UsualLines], workload: Workload) -> None:
    decoder = lines()
    texts = [text for piece in workload.pieces for text in decoder.texts(piece)]
    assert texts == [event.text for event in workload.events if isinstance(event, Text | Notice)]


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_chunk_parser_works_at_any_cut(size: int) -> None:
    answer = server._whole("tokens", 20)
    chunks, lines = Chunks(), FastLines()
    pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
    texts = [event.text for event in workloads.tokens(20).events if isinstance(event, Text)]
    assert [text for piece in pieces for text in lines.texts(chunks.feed(piece))] == texts
    assert chunks.over


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with server.serving() as url:
        yield url


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


QUESTIONS = {"tokens 3": 3, "tokens 300": 300, "notices 9": 9, "long 40": 40, "timed 4 0.001": 4, "short 660": 16}


@pytest.mark.parametrize("way", ways.ways())
def test_each_way_returns_the_events_of_every_answer(way: str, site: str, runner: asyncio.Runner) -> None:
    with closing(asking.Asker(ways.ways()[way], site, runner)) as asker:
        assert {prompt: asker.ask(prompt) for prompt in QUESTIONS} == QUESTIONS
        assert asking.warm_event(asker, "tokens 3") > 0
    assert asking.first_event(ways.ways()[way], site, runner, "tokens 3") > 0


@pytest.mark.parametrize("way", [name for name, way in ways.ways().items() if way.open_new or way.greet])
def test_new_client_fetches_its_nonce(way: str, site: str, runner: asyncio.Runner) -> None:
    with relay.distant(site, 0.0) as place:
        trips = []
        for is_new in (False, True):
            place.trips()
            asking.first_event(ways.ways()[way], place.url, runner, "tokens 3", is_new=is_new)
            trips.append(place.trips())
    assert trips == [2, 3]  # TCP and the question; one more for the nonce


@pytest.mark.parametrize("way", ["bare", "Client", "AsyncClient", "asyncio"])
def test_relay_counts_one_round_trip_on_an_open_connection(way: str, site: str, runner: asyncio.Runner) -> None:
    with relay.distant(site, 0.002) as place, closing(asking.Asker(ways.ways()[way], place.url, runner)) as asker:
        trips = []
        asker.ask("tokens 3")
        place.trips()
        for prompt in ("tokens 3", "timed 5 0.001"):
            asker.ask(prompt)
            trips.append(place.trips())
    assert trips == [1, 1]


def test_clients_trust_the_certificate_of_the_benchmark(runner: asyncio.Runner) -> None:
    before = dict(os.environ)
    with server.certified() as certificate, server.serving(certificate) as url:
        assert url.startswith("https://")
        for name, way in ways.ways().items():
            if name not in ways.FLOORS:
                with closing(asking.Asker(way, url, runner)) as asker:
                    assert asker.ask("tokens 3") == 3
    assert dict(os.environ) == before


def test_reads_of_a_socket_are_counted_and_others_are_not(site: str, runner: asyncio.Runner) -> None:
    with closing(asking.Asker(ways.ways()["bare"], site, runner)) as asker:
        reads = asking.count_reads(lambda: asker.ask("timed 5 0.01"))
    assert 1 <= reads <= 7  # the head, five events and the end: fewer if some arrive together
    assert asking.count_reads(lambda: io.BytesIO(b"x").read()) == 0


@pytest.mark.parametrize(("prompt", "beats"), [("comments 1", b":\n" * 5_000_000), ("tiny 20000", b":" * 20_000)])
def test_hostile_site_sends_what_its_question_asks_for(prompt: str, beats: bytes, site: str) -> None:
    body = requests.post(site + server.PATH, json={"newMessage": prompt}, timeout=60).content
    assert body.removesuffix(b'data: {"type": "end", "data": "{\\"success\\":true,\\"reply\\":null}"}\n\n') == beats


@pytest.mark.parametrize("way", ["AsyncClient", "asyncio"])
def test_many_streams_read_every_event(way: str, site: str) -> None:
    figures = asyncio.run(streams.measure(way, 5, site))
    assert figures.keys() == {"starts", "events", "lag", "memory", "aclose"}


def test_hostile_stream_ends_with_the_others(site: str) -> None:
    for prompt in ("", "tiny 20000", "comments 2"):
        assert asyncio.run(hostile.measure("AsyncClient", 3, 0.05, site, site, prompt)) > 0


def test_form_has_the_file_and_its_size(tmp_path: Path) -> None:
    with uploads.sparse_file(100_000) as path, path.open("rb") as file:
        assert path.stat().st_size == 100_000
        form = uploads._Form(file, 100_000)
        size, body = len(form), b"".join(iter(partial(form.read, 4096), b""))
    assert len(body) == size
    assert body.count(b"\0") == 100_000


def test_import_that_fails_is_reported() -> None:
    assert imports._start("pass") > 0
    with pytest.raises(AssertionError, match="failed"):
        imports._start("raise SystemExit(3)")


@pytest.mark.parametrize("name", command.BENCHMARKS)
def test_benchmark_has_every_row_of_the_table(name: str) -> None:
    results = import_module(f"benchmarks.{name}").run(Plan(1, quick=True))
    assert sorted(one.name for one in results) == sorted(ROWS[name])
    assert all(one.figures or "not installed" in one.note for one in results)


def test_table_has_every_benchmark_and_readme_has_the_table() -> None:
    assert list(ROWS) == list(command.BENCHMARKS)
    readme = (ROOT / "benchmarks" / "README.rst").read_text("utf-8")
    assert readme.endswith(report.document() + "\n"), "python -m benchmarks.report prints the tables of README.rst"


def test_interleaved_alternates_and_drops_the_first_round() -> None:
    calls: list[str] = []

    def call(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    figures = interleaved({"a": partial(call, "a"), "b": partial(call, "b")}, 2)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert figures == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_ratios_compare_each_round_and_medians_leave_ours_out() -> None:
    figures = {"ours": [1.0, 6.0, 100.0], "base": [1.0, 2.0, 10.0], "peer": [2.0, 2.0, 20.0]}
    assert ratios(figures["ours"], figures["base"]) == [1.0, 3.0, 10.0]
    assert medians(figures, "base", ["ours"]) == {"peer": 2.0}


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_exponent_is_the_power_of_the_growth(power: float) -> None:
    points = {size: 3.0 * size**power for size in (10, 100, 1_000, 5_000)}
    assert exponent(points) == pytest.approx(power)
    assert exponent(points | {1: 10.0**9}) == pytest.approx(power)  # the smallest sizes show the fixed cost


def test_plan_repeats_slow_rows_five_times_unless_it_is_quick() -> None:
    assert [Plan(rounds).few for rounds in (1, 15, 30)] == [5, 5, 10]
    assert Plan(30, quick=True).few == 1


def test_result_has_median_and_quartiles() -> None:
    result = Result("w", [5.0, 1.0, 2.0, 4.0, 3.0], 3.0)
    assert (result.value, result.quartiles, result.met) == (3.0, (2.0, 4.0), True)
    assert Result("w", [2.0], 1.0).quartiles == (2.0, 2.0)


def test_result_is_missed_only_beyond_a_tenth() -> None:
    reached, near, far = (Result("w", [value], 1.0) for value in (1.0, 1.05, 1.2))
    assert (reached.met, near.met, far.met) == (True, False, False)
    assert (reached.missed, near.missed, far.missed) == (False, False, True)


def test_row_without_figures_is_neither_met_nor_missed() -> None:
    result = row("parser", "tokens", [], "no library")
    assert (result.value, result.quartiles, result.met, result.missed) == (None, None, None, False)
    assert json.loads(json.dumps(result.to_dict()))["met"] is None
    assert report.summary({"parser": [result]}) == "0 of 1 marks are met\nnot measured: parser/tokens"


def test_table_has_no_column_for_an_absent_peer() -> None:
    one, two = Result("a", [0.5], 1.0, peers={"p": 2.0}), Result("b", [1.0, 2.0], 1.0, "MB", "why")
    assert [line.split() for line in report.table([one]).splitlines()] == [
        ["row", "ours", "quartiles", "mark", "met?", "p"],
        ["a", "0.50", "0.50..0.50", "<=", "1.00", "x", "yes", "2.00"],
    ]
    assert [line.split() for line in report.table([two]).splitlines()] == [
        ["row", "ours", "quartiles", "mark", "met?"],
        ["b", "1.50", "1.25..1.75", "<=", "1.00", "MB", "NO", "why"],
    ]


def test_summary_counts_met_marks_and_names_the_others() -> None:
    found = {"a": [Result("x", [1.0], 1.0), Result("y", [2.0], 1.0)], "b": [Result("z", [3.0], 1.0)]}
    assert report.summary(found) == "1 of 3 marks are met\nnot met: a/y; b/z"


def test_documented_row_has_its_unit_and_its_mark() -> None:
    assert report._mark(Row(2.0, "", "ms")) == "<= 2 ms"
    assert report._mark(Row(1.1, "", "")) == "<= 1.1"


def test_machine_is_described_with_its_load() -> None:
    assert machine.describe().keys() == {"python", "system", "cpus"}
    assert len(machine.load()) == 3
    assert machine.resident() > 1_000_000


class FakeBenchmark:
    """A benchmark that gives one result without measuring."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.plans: list[Plan] = []

    def run(self, plan: Plan) -> list[Result]:
        self.plans.append(plan)
        return [Result("w", [self.value], 1.0)]


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


def test_runs_the_named_ones_with_their_plan(
    fakes: dict[str, FakeBenchmark], capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(["good", "--rounds", "3", "--quick"])
    assert [fake.plans for fake in fakes.values()] == [[Plan(3, quick=True)], [], []]
    assert "good: reaches it" in capsys.readouterr().out


def test_output_names_the_machine_the_load_and_the_marks(
    fakes: dict[str, FakeBenchmark], capsys: pytest.CaptureFixture[str]
) -> None:
    command.main([])
    first, *_, last = lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"chatgpt4online \S+, \w+ 3\.\S+, .*, \d+ CPUs", first)
    assert re.fullmatch(r"load before: \[.*\], after: \[.*\]", last)
    assert lines[-3:-1] == ["1 of 3 marks are met", "not met: near/w; bad/w"]


def test_json_is_one_object(fakes: dict[str, FakeBenchmark], capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--json", "good", "bad"])
    said = json.loads(capsys.readouterr().out)
    assert said.keys() == {"version", "machine", "quick", "rows"}
    assert said["version"] == __version__
    assert said["machine"].keys() == {"python", "system", "cpus", "load"}
    assert [(one["benchmark"], one["met"]) for one in said["rows"]] == [("good", True), ("bad", False)]
    assert said["rows"][0] == {
        "benchmark": "good",
        "name": "w",
        "unit": "x",
        "value": 0.9,
        "quartiles": [0.9, 0.9],
        "rounds": 1,
        "mark": 1.0,
        "met": True,
        "peers": {},
        "note": "",
    }


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
