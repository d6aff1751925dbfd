"""The client and the sticky comment against the stand-in: every exchange follows GitHub's description."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path

import pytest
import requests

from flint_ml.errors import InputError, OutsideError
from flint_ml.github.client import ForbiddenError, GitHub, NotFoundError, RefusedError, WrongTokenError
from flint_ml.github.sticky import Marker, post, read_marker
from githubapi.server import FakeGitHub, Fault, Server

TOKEN = "ghs_aVerySecretToken1234567890"
HEAD = "e" * 40
BOT = "github-actions[bot]"


class Clock:
    """Time that passes only in sleep, so that no test waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def fake():
    github = FakeGitHub()
    with Server(github):
        github.add_pull(7, HEAD)
        yield github
    assert github.problems == []


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(fake, clock):
    return GitHub(TOKEN, "o/r", fake.url, sleep=clock.sleep, clock=clock)


def of_us(fake, pull=7):
    return [comment for comment in fake.of(pull) if comment["user"]["login"] == BOT]


def marker(number=5, attempt=1, key="soil"):
    return Marker(key, number, attempt, HEAD)


@pytest.mark.parametrize("older", [0, 45, 250])
def test_created_then_updated_then_unchanged_never_doubled(fake, client, older):
    for number in range(older):
        fake.add_comment(7, f"comment {number}")
    first = post(client, 7, marker(5), "one")
    for number in range(older):
        fake.add_comment(7, f"later comment {number}")
    second = post(client, 7, marker(6), "two")
    third = post(client, 7, marker(6), "two")
    assert [one.how for one in (first, second, third)] == ["created", "updated", "unchanged"]
    assert {one.comment_id for one in (first, second, third)} == {of_us(fake)[0]["id"]}
    assert len(of_us(fake)) == 1
    assert of_us(fake)[0]["body"].endswith("\ntwo")
    assert [r["method"] for r in fake.requests].count("PATCH") == 1


def test_the_marker_is_hidden_and_holds_any_key():
    nasty = Marker('--> <img src=x> "quoted" \u2028', 3, 2, HEAD)
    text = str(nasty)
    assert read_marker(text + "\nbody") == nasty
    assert text.index("-->") == len(text) - 3
    assert "<img" not in text
    assert read_marker("quoted: " + text) is None
    assert read_marker('<!-- flint-ml-report {"key":1} -->') is None


def test_another_key_is_another_comment(fake, client):
    post(client, 7, marker(key="a"), "one")
    post(client, 7, marker(key="b"), "two")
    assert len(of_us(fake)) == 2


def test_a_person_cannot_forge_the_comment(fake, client):
    forged = fake.add_comment(7, f"{marker(99)}\nApprove!", login="mallory", kind="User")
    done = post(client, 7, marker(5), "real")
    assert done.how == "created"
    assert forged["body"].endswith("Approve!")
    assert done.comment_id != forged["id"]


def test_a_personal_token_owns_its_own_comments_only():
    people = {"ghp_anna": {"login": "anna", "type": "User", "write": True}}
    fake = FakeGitHub(tokens=people)
    with Server(fake):
        fake.add_pull(7, HEAD)
        fake.add_comment(7, f"{marker(99)}\nby a bot", login=BOT, kind="Bot")
        client = GitHub("ghp_anna", "o/r", fake.url)
        assert post(client, 7, marker(5), "one").how == "created"
        assert post(client, 7, marker(6), "two").how == "updated"
    assert fake.problems == []
    assert [c["user"]["login"] for c in fake.comments] == [BOT, "anna"]


def test_an_older_run_never_overwrites_a_newer_one(fake, client):
    post(client, 7, marker(6, 2), "newer")
    assert post(client, 7, marker(6, 1), "older attempt").how == "newer"
    assert post(client, 7, marker(5, 9), "older run").how == "newer"
    assert of_us(fake)[0]["body"].endswith("\nnewer")
    assert post(client, 7, Marker("soil"), "from a terminal").how == "updated"


def test_doubles_of_the_past_become_one(fake, client):
    for number in (3, 4, 4):
        fake.add_comment(7, f"{marker(number)}\nold", login=BOT, kind="Bot")
    post(client, 7, marker(5), "new")
    assert [c["body"].endswith("\nnew") for c in of_us(fake)] == [True]


def test_a_comment_deleted_by_hand_is_made_again(fake, client):
    post(client, 7, marker(5), "one")
    fake.comments.clear()
    assert post(client, 7, marker(6), "two").how == "created"
    assert len(of_us(fake)) == 1


SCHEDULES = [
    tuple(6 if place in chosen else 5 for place in range(10)) for chosen in combinations(range(10), 5)
]  # every order in which the first five requests of either run can reach GitHub


def _interleaved(seeded: list[Marker], schedule: tuple[int, ...]) -> list[str]:
    """Runs 5 and 6, for an older and the newest commit, their requests let through in the order of ``schedule``."""
    fake = FakeGitHub()
    turn = threading.Condition()
    order = list(schedule)
    done: set[int] = set()
    names = threading.local()

    def forward() -> None:
        while order and order[0] in done:
            order.pop(0)
        turn.notify_all()

    class Stepped(GitHub):
        def _request(self, *arguments, **more):
            with turn:
                assert turn.wait_for(lambda: not order or order[0] == names.value, timeout=20)
                if order:
                    order.pop(0)
                try:
                    return super()._request(*arguments, **more)
                finally:
                    forward()

    def run(number: int) -> None:
        names.value = number
        client = Stepped(TOKEN, "o/r", fake.url)
        head = str(number) * 40
        try:
            mine = Marker("soil", number, 1, head)
            post(client, 7, mine, f"of run {number}", lambda: client.get("{repo}/pulls/7")["head"]["sha"] == head)
        finally:
            with turn:
                done.add(number)
                forward()

    with Server(fake):
        fake.add_pull(7, "6" * 40)
        for one in seeded:
            fake.add_comment(7, f"{one}\nold", login=BOT, kind="Bot")
        threads = [threading.Thread(target=run, args=(number,)) for number in (5, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert fake.problems == []
    return [comment["body"].split("\n", 1)[1] for comment in of_us(fake)]


@pytest.mark.parametrize("seeded", [[], [marker(4)], [marker(3), marker(4)]], ids=["first", "update", "doubled"])
def test_concurrent_runs_leave_one_comment_of_the_newer_commit(seeded):
    left = {schedule: _interleaved(seeded, schedule) for schedule in SCHEDULES[::6]}
    assert {tuple(one) for one in left.values()} == {("of run 6",)}


def test_concurrent_runs_of_the_same_commit_leave_one_comment():
    fake = FakeGitHub()
    with Server(fake):
        fake.add_pull(7, HEAD)
        barrier = threading.Barrier(4)

        def run(attempt: int) -> None:
            barrier.wait(10)
            post(GitHub(TOKEN, "o/r", fake.url), 7, marker(5, attempt), f"attempt {attempt}")

        threads = [threading.Thread(target=run, args=(attempt,)) for attempt in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert fake.problems == []
    assert len(of_us(fake)) == 1


def test_a_lost_answer_does_not_double_the_comment(fake, client, clock):
    fake.faults.append(Fault("POST", lost=True))
    assert post(client, 7, marker(), "one").how == "created"
    assert len(of_us(fake)) == 1


@pytest.mark.parametrize(
    ("fault", "waited"),
    [
        (Fault("POST", status=429, headers={"retry-after": "7"}), 7),
        (Fault("POST", status=403, headers={"retry-after": "9"}), 9),
        (Fault("POST", status=403, body={"message": "You have exceeded a secondary rate limit"}), 60),
        (Fault("POST", status=403, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}), 1),
    ],
)
def test_limits_are_waited_for(fake, client, clock, fault, waited):
    fake.faults.append(fault)
    assert post(client, 7, marker(), "one").how == "created"
    assert clock.slept == [waited]
    assert len(of_us(fake)) == 1


@pytest.mark.parametrize("fault", [Fault(status=500, times=3), Fault(status=502, times=3), Fault(drop=True, times=3)])
def test_faults_of_the_server_are_retried(fake, client, clock, fault):
    fake.faults.append(fault)
    assert post(client, 7, marker(), "one").how == "created"
    assert len(clock.slept) == 3
    assert len(of_us(fake)) == 1


def test_giving_up_within_the_stated_time(fake, client, clock):
    fake.faults.append(Fault(status=503, times=1000))
    with pytest.raises(OutsideError, match="503") as caught:
        post(client, 7, marker(), "one")
    assert clock.now <= 120
    assert TOKEN not in str(caught.value)


def test_a_wait_longer_than_the_deadline_is_not_begun(fake, client, clock):
    fake.faults.append(Fault(status=429, headers={"retry-after": "900"}))
    with pytest.raises(OutsideError, match="asks to wait 900 s"):
        post(client, 7, marker(), "one")
    assert clock.slept == []


def test_a_server_that_never_answers_is_given_up(clock):
    class Silent(requests.Session):
        def request(self, *_arguments, timeout, **_more):
            clock.now += timeout[1]
            raise requests.ReadTimeout("read timed out")

    client = GitHub(TOKEN, "o/r", "https://api.github.com", session=Silent(), sleep=clock.sleep, clock=clock)
    with pytest.raises(OutsideError, match="did not answer"):
        client.get("user")
    assert clock.now <= 121


def test_statuses_are_domain_errors_and_never_show_the_token():
    tokens = {TOKEN: {"login": BOT, "type": "Bot", "write": False}}
    fake = FakeGitHub(tokens=tokens)
    with Server(fake):
        fake.add_pull(7, HEAD)
        cases = [
            (GitHub("ghs_wrongwrongwrong", "o/r", fake.url), 7, WrongTokenError),
            (GitHub(TOKEN, "o/r", fake.url), 7, ForbiddenError),
            (GitHub(TOKEN, "o/r", fake.url), 8, NotFoundError),
        ]
        for client, pull, error in cases:
            with pytest.raises(error) as caught:
                post(client, pull, marker(), "one")
            assert client.token not in str(caught.value) + repr(client)
            assert caught.value.hint
        tokens[TOKEN]["write"] = True
        with pytest.raises(RefusedError, match="too long"):
            post(GitHub(TOKEN, "o/r", fake.url), 7, marker(), "x" * 70_000)
    assert fake.problems == []


class Answering(requests.Session):
    """Answers every request the same."""

    def __init__(self, status, content):
        super().__init__()
        self.answer = requests.Response()
        self.answer.status_code, self.answer._content, self.answer._content_consumed = status, content, True

    def request(self, *_arguments, **_more):
        return self.answer


def test_a_renamed_repository_and_a_page_in_the_way_are_said(clock):
    moved = b'{"message": "Moved Permanently", "url": "https://api.github.com/repositories/1"}'
    client = GitHub(TOKEN, "o/old", session=Answering(307, moved), sleep=clock.sleep, clock=clock)
    with pytest.raises(RefusedError, match="renamed or moved") as caught:
        client.post("{repo}/issues", {"title": "x"})
    assert "o/old" in caught.value.hint
    client = GitHub(TOKEN, "o/r", session=Answering(200, b"<html>Log in</html>"), sleep=clock.sleep, clock=clock)
    for call in (lambda: client.get("user"), lambda: list(client.pages("{repo}/issues"))):
        with pytest.raises(OutsideError, match="a page instead of data"):
            call()


@pytest.mark.parametrize("url", ["http://github.example", "ftp://api.github.com", "file:///etc"])
def test_the_token_is_not_sent_in_the_clear(url):
    with pytest.raises(InputError, match="https"):
        GitHub(TOKEN, "o/r", url)


@pytest.mark.parametrize("name", ["", "o", "o/r/x", "../r", "o/r?x=1"])
def test_repository_must_be_owner_and_name(name):
    with pytest.raises(InputError):
        GitHub(TOKEN, name)


def test_the_stand_in_notices_what_github_would_not_take(fake):
    client = GitHub(TOKEN, "o/r", fake.url)
    with pytest.raises(RefusedError):
        client.post("{repo}/issues/7/comments", {"text": "no body"})
    with pytest.raises(NotFoundError):
        client.get("{repo}/no/such/thing")
    assert any("body" in problem for problem in fake.problems)
    assert any("not in the description" in problem for problem in fake.problems)
    fake.problems.clear()


def test_the_stand_in_runs_as_a_process(tmp_path):
    port, state = tmp_path / "port", tmp_path / "state.json"
    command = [sys.executable, "-m", "githubapi", "--port-file", str(port), "--state", str(state), "--comments", "45"]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(200):
            if port.is_file():
                break
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port.read_text()}"
        assert post(GitHub(TOKEN, "o/r", url), 1, marker(), "one").how == "created"
        assert '"one"' in state.read_text() or "\\none" in state.read_text()
        assert (
            len(
                requests.get(
                    f"{url}/repos/o/r/issues/1/comments?per_page=100",
                    headers={"Authorization": "Bearer x", "X-GitHub-Api-Version": "2022-11-28"},
                    timeout=10,
                ).json()
            )
            == 46
        )
    finally:
        process.terminate()
        assert process.wait(20) == 0
        process.stdout.close()


@pytest.mark.e2e
def test_the_description_is_githubs():
    command = [sys.executable, "-m", "githubapi.subset", "--check"]
    result = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


class Dripping(BaseHTTPRequestHandler):
    """Sends one byte now and then, for ever."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        with suppress(OSError):
            for _ in range(100):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.2)

    def log_message(self, *_):
        pass


def test_the_deadline_holds_in_wall_time_where_bytes_drip():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = GitHub(TOKEN, "o/r", f"http://127.0.0.1:{server.server_port}", deadline=2)
    started = time.monotonic()
    with pytest.raises(OutsideError, match="did not answer"):
        client.get("user")
    assert time.monotonic() - started < 8
    server.shutdown()
    server.server_close()


def test_an_answer_without_end_is_refused(clock):
    client = GitHub(TOKEN, "o/r", session=Answering(200, b"[" * (17 * 1024 * 1024)), sleep=clock.sleep, clock=clock)
    with pytest.raises(RefusedError, match="larger than"):
        client.get("user")


def test_a_job_token_owns_the_comments_of_its_own_name_only(fake, client):
    fake.add_comment(7, f"{marker(4)}\nof another app", login="other[bot]", kind="Bot")
    assert client.logins == ("github-actions", BOT)
    assert post(client, 7, marker(5), "real").how == "created"
    assert [c["body"].endswith("of another app") for c in fake.of(7)] == [True, False]
