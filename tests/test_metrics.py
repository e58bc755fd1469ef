"""Numbers in Prometheus' text format, and a server that no client holds up."""

import select
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ground.httpserver import MAX_CONNECTIONS, MAX_REQUEST, TIMEOUT, HttpServer, Page
from ground.metrics import (
    CONTENT_TYPE,
    Family,
    MetricsServer,
    from_counts,
    of_archive,
    of_worker,
    render,
)
from ground.worker import Worker
from occulta.errors import OccultaError, Reason
from tests.ground_world import DATA, World, put

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
TEXT = b"# HELP occulta_ground_x_total X.\n# TYPE occulta_ground_x_total counter\n"


# --- the text


def test_counters_and_gauges() -> None:
    families = [
        Family("offers_total", "Deliveries.").add(3, outcome="archived").add(0, outcome="rejected"),
        Family("contact", "Whether there is contact.").add(1.0),
    ]
    assert render(families).decode().splitlines() == [
        "# HELP occulta_ground_offers_total Deliveries.",
        "# TYPE occulta_ground_offers_total counter",
        'occulta_ground_offers_total{outcome="archived"} 3',
        'occulta_ground_offers_total{outcome="rejected"} 0',
        "# HELP occulta_ground_contact Whether there is contact.",
        "# TYPE occulta_ground_contact gauge",
        "occulta_ground_contact 1.0",
    ]


def test_labels_and_help_are_escaped() -> None:
    family = Family("x", 'a\\b\nc"').add(1, satellite='al"pha\\\n\udc80', link="up")
    assert render([family]).decode().splitlines() == [
        '# HELP occulta_ground_x a\\\\b\\nc"',
        "# TYPE occulta_ground_x gauge",
        'occulta_ground_x{satellite="al\\"pha\\\\\\n\\udc80",link="up"} 1',
    ]


@given(st.dictionaries(st.text(), st.integers(0), max_size=4))
@settings(max_examples=50)
def test_whatever_a_label_holds_each_sample_is_one_line(counts: dict[str, int]) -> None:
    said = render([from_counts("x", "X.", "name", counts)]).decode()
    lines = [line for line in said.split("\n") if line]
    assert len(lines) == 2 + len(counts)
    for line, count in zip(lines[2:], counts.values(), strict=True):
        assert line.startswith('occulta_ground_x{name="')
        assert line.endswith(f'"}} {count}')


def test_a_family_of_a_counter() -> None:
    family = from_counts("drops_total", "Drops.", "reason", Counter(mac=2))
    assert family == Family("drops_total", "Drops.", [({"reason": "mac"}, 2)])


@pytest.mark.parametrize("name", ["", "X", "1x", "a-b", "a b", "a\n", "_x"])
def test_a_name_is_checked(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Family(name, "X.")


def test_the_archive_and_the_worker_say_what_they_count(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver(1)
    put(world.inbox, 2, DATA, b"garbage")
    world.archive.scan(0.0)
    worker = Worker(world.folder, [], timeout=1.0)
    lines = render([*of_archive(world.archive), *of_worker(worker)]).decode().splitlines()
    worker.close()
    for line in (
        'occulta_ground_products{state="archived"} 1',
        'occulta_ground_products{state="failed"} 0',
        f'occulta_ground_product_bytes{{state="archived"}} {len(DATA)}',
        'occulta_ground_offers_total{outcome="archived"} 1',
        'occulta_ground_offers_total{outcome="rejected"} 1',
        'occulta_ground_rejections_total{reason="manifest"} 1',
        'occulta_ground_rejections_total{reason="digest"} 0',
        'occulta_ground_recoveries_total{outcome="lost"} 0',
        "occulta_ground_recovering 0",
    ):
        assert line in lines


# --- the server


class Web:
    """A server on the loopback, and clients whose bytes it gets one poll at a time."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.server = MetricsServer(
            "127.0.0.1", 0, lambda: [Family("x_total", "X.").add(1)], lambda: self.trouble
        )
        self.clients: list[socket.socket] = []

    def connect(self) -> socket.socket:
        """A client that the server has accepted."""
        client = socket.create_connection(self.server.address, timeout=10)
        self.clients.append(client)
        self.poll(0.0)
        return client

    def poll(self, now: float) -> None:
        """One turn of the loop, once there is something to do."""
        assert select.select([self.server], [], [], 10)[0]
        self.server.update(now)

    def ask(self, request: bytes) -> bytes:
        """The whole answer to a request."""
        client = self.connect()
        client.sendall(request)
        return self.answer(client)

    def answer(self, client: socket.socket) -> bytes:
        """What a client gets until the server closes."""
        answer = b""
        while True:
            for _ in range(2):
                if select.select([self.server], [], [], 0.01)[0]:
                    self.server.update(0.0)
            if select.select([client], [], [], 0)[0]:
                data = client.recv(1 << 16)
                if not data:
                    return answer
                answer += data

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.close()


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    yield web
    web.close()


def parse(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    protocol, status, _ = first.split(" ", 2)
    assert protocol == "HTTP/1.1"
    fields = dict(line.split(": ", 1) for line in lines)
    return int(status), fields, body


def test_metrics(web: Web) -> None:
    status, fields, body = parse(web.ask(GET))
    assert (status, body) == (200, TEXT + b"occulta_ground_x_total 1\n")
    assert fields == {
        "Content-Type": CONTENT_TYPE, "Content-Length": str(len(body)), "Connection": "close",
        "Cache-Control": "no-store",
    }
    assert web.server.counters == {200: 1}
    assert web.server.next_timer() is None


def test_health(web: Web) -> None:
    request = b"GET /health HTTP/1.0\r\n\r\n"
    assert parse(web.ask(request))[::2] == (200, b"ok\n")
    web.trouble = "the disk is full"
    assert parse(web.ask(request))[::2] == (503, b"the disk is full\n")


def test_a_page_that_cannot_be_made(web: Web) -> None:
    def fail() -> Page:
        raise OccultaError(Reason.OUTPUT_UNWRITABLE, "no disk")

    web.server._pages["/broken"] = fail
    assert parse(web.ask(b"GET /broken HTTP/1.1\r\n\r\n"))[0] == 500
    assert parse(web.ask(GET))[0] == 200


def test_head_gives_no_body(web: Web) -> None:
    status, fields, body = parse(web.ask(GET.replace(b"GET", b"HEAD")))
    assert (status, body) == (200, b"")
    assert int(fields["Content-Length"]) > 0


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET / HTTP/1.1", 404), (b"GET /metrics/ HTTP/1.1", 404), (b"GET /x\xff HTTP/1.1", 404),
        (b"GET /metrics?a=b HTTP/1.1", 200), (b"POST /metrics HTTP/1.1", 405),
        (b"get /metrics HTTP/1.1", 405), (b"GET /metrics", 400), (b"", 400), (b"\0\0", 400),
        (b"GET /metrics HTTP/2.0", 400), (b"GET  /metrics HTTP/1.1", 400),
        (b"GET http://x/metrics HTTP/1.1", 404), (b"GET /../etc/passwd HTTP/1.1", 404),
    ],
)
def test_other_requests(web: Web, request_line: bytes, status: int) -> None:
    found, fields, _ = parse(web.ask(request_line + b"\r\n\r\n"))
    assert found == status
    assert ("Allow" in fields) is (status == HTTPStatus.METHOD_NOT_ALLOWED)
    assert web.server.counters == {status: 1}


def test_a_request_in_single_bytes(web: Web) -> None:
    client = web.connect()
    for at in range(len(GET)):
        client.sendall(GET[at : at + 1])
        web.poll(0.0)
    assert parse(web.answer(client))[0] == 200


@pytest.mark.parametrize(
    "request_bytes",
    [bytes(2 * MAX_REQUEST), b"GET /metrics HTTP/1.1\r\nX: " + b"x" * MAX_REQUEST + b"\r\n\r\n"],
)
def test_a_huge_request_is_refused(web: Web, request_bytes: bytes) -> None:
    client = web.connect()
    with suppress(ConnectionError):  # it may be gone before all is sent
        client.sendall(request_bytes)
    with suppress(ConnectionError):
        web.answer(client)
    assert web.server.counters == {431: 1}
    assert web.server.next_timer() is None


def test_a_slow_client_is_dropped_when_its_time_is_up(web: Web) -> None:
    client = web.connect()
    client.sendall(GET[:-1])
    web.poll(TIMEOUT - 0.1)
    assert web.server.next_timer() == TIMEOUT
    web.server.update(TIMEOUT)
    assert client.recv(100) == b""
    assert (web.server.counters, web.server.next_timer()) == ({0: 1}, None)


def test_a_client_that_does_not_read_is_dropped_when_its_time_is_up() -> None:
    page = Page(HTTPStatus.OK, "text/plain", bytes(1 << 24))
    server = HttpServer("127.0.0.1", 0, {"/": lambda: page})
    with socket.create_connection(server.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        for _ in range(20):
            if select.select([server], [], [], 0.02)[0]:
                server.update(0.0)
        assert server.next_timer() == TIMEOUT
        server.update(TIMEOUT)
        assert (server.counters, server.next_timer()) == ({200: 1, 0: 1}, None)
    server.close()


def test_of_too_many_clients_the_oldest_goes(web: Web) -> None:
    first, *others = [web.connect() for _ in range(MAX_CONNECTIONS + 1)]
    assert first.recv(1) == b""
    others[0].sendall(GET)
    assert parse(web.answer(others[0]))[0] == 200
    assert web.server.counters == {0: 1, 200: 1}


@pytest.mark.parametrize("request_bytes", [b"", GET[:10], GET])
def test_a_client_that_goes_away(web: Web, request_bytes: bytes) -> None:
    client = web.connect()
    client.sendall(request_bytes)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()  # a reset
    while web.server.next_timer() is not None:
        web.poll(0.0)
    assert parse(web.ask(GET))[0] == 200


@given(st.lists(st.binary(max_size=2000), max_size=4))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_never_raises(web: Web, chunks: list[bytes]) -> None:
    client = web.connect()
    with suppress(ConnectionError):
        for chunk in chunks:
            client.sendall(chunk)
            web.server.update(0.0)
    client.close()
    while web.server.next_timer() is not None:
        web.poll(0.0)


@pytest.mark.parametrize(
    ("host", "port"),
    [("", 1), ("*", 1), ("example.com", 80), ("300.0.0.1", 1), ("127.0.0.1", 70_000),
     ("192.0.2.1", 9464), ("::g", 1)],
)
def test_where_it_cannot_listen(host: str, port: int) -> None:
    with pytest.raises(OccultaError) as caught:
        HttpServer(host, port, {})
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert f"{host} port {port}" in caught.value.detail


def test_an_address_in_use(web: Web) -> None:
    with pytest.raises(OccultaError) as caught:
        HttpServer(*web.server.address, {})
    assert caught.value.reason is Reason.CONFIG_INVALID


@pytest.mark.parametrize(("host", "bound"), [("localhost", "127.0.0.1"), ("::1", "::1")])
def test_hosts(host: str, bound: str) -> None:
    try:
        server = HttpServer(host, 0, {})
    except OccultaError:
        assert ":" in host, "only IPv6 may be missing"
        pytest.skip("no IPv6")
    assert server.address[0] == bound
    server.close()
