"""Recorded streams: what was read can be put back."""

from __future__ import annotations

import json
from pathlib import Path

import fakeredis
import pytest
import redis

from streams.record import NotAFixture, read_fixture, record
from streams.replay import replay


@pytest.fixture
def fake() -> redis.Redis:
    return fakeredis.FakeRedis()


def test_streams_are_recorded_in_the_order_of_their_ids(fake: redis.Redis, tmp_path: Path):
    """Two streams, one file: the order in which things happened."""
    for stream, entry_id in [("a", "1-0"), ("b", "1-1"), ("a", "2-0"), ("b", "10-0"), ("a", "11-0")]:
        fake.xadd(stream, {"type": "T", "body": json.dumps({"id": entry_id})}, id=entry_id)

    assert 5 == record(fake, ["b", "a"], tmp_path / "day")
    rows = [json.loads(line) for line in (tmp_path / "day" / "streams.jsonl").read_text().splitlines()]
    assert ["1-0", "1-1", "2-0", "10-0", "11-0"] == [row["id"] for row in rows]
    assert {"stream": "a", "id": "1-0", "type": "T", "body": {"id": "1-0"}} == rows[0]


@pytest.mark.parametrize(
    "fields",
    [
        {b"type": b"OrderFilled", b"body": b'{"price":"1.10","qty":2,"note":"\xc3\xa9","none":null}'},
        {b"type": b"Broken", b"body": b"{not json"},
        {b"type": b"Broken", b"body": b"\xff\xfe\x00"},
        {b"type": b"Float", b"body": b'{"price":1.10}'},
        {b"type": b"Infinite", b"body": b'{"price":NaN}'},
        {b"type": b"Twice", b"body": b'{"qty":1,"qty":2}'},
        {b"type": b"Half", b"body": b'{"text":"\\ud800"}'},
        {b"body": b"{}"},
        {b"type": b"Three", b"body": b"{}", b"reason": b"dead"},
        {b"\xff": b""},
    ],
)
def test_whatever_an_entry_holds_comes_back(fake: redis.Redis, tmp_path: Path, fields: dict[bytes, bytes]):
    """A fact, garbage, a float that JSON would change, foreign fields: byte for byte."""
    fake.xadd("s", fields)
    record(fake, ["s"], tmp_path)
    assert [("s", fields)] == list(read_fixture(tmp_path))

    fake.delete("s")
    assert 1 == replay(fake, tmp_path)
    assert [fields] == [found for _, found in fake.xrange("s")]


def test_a_long_stream_is_recorded_and_replayed_whole(client: redis.Redis, tmp_path: Path):
    """More than one page, on a real server."""
    with client.pipeline() as pipe:
        for n in range(2500):
            pipe.xadd("s", {"type": "T", "body": str(n)})
        pipe.execute()
    assert 2500 == record(client, ["s", "missing"], tmp_path)
    client.delete("s")

    assert 2500 == replay(client, tmp_path / "streams.jsonl")
    assert [str(n).encode() for n in range(2500)] == [fields[b"body"] for _, fields in client.xrange("s")]


@pytest.mark.parametrize("line", ["{", "[]", '{"type":"T","body":{}}', '{"stream":"s","body":{}}', "\n"])
def test_a_line_that_is_not_ours_is_named(tmp_path: Path, line: str):
    (tmp_path / "streams.jsonl").write_text('{"stream":"s","type":"T","body":{}}\n' + line + "\n")

    with pytest.raises(NotAFixture, match="line 2"):
        list(read_fixture(tmp_path))
