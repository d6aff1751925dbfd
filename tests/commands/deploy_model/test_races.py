"""deploy-model beside others: disturbances, two jobs at once, pull requests."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from flint_ml.registry.address import resolve
from flint_ml.registry.store import connect
from helpers.deployment import DEPLOYMENT, Use
from helpers.git_server import change, commits, content, git

pytest_plugins = ("helpers.mlflow_server", "helpers.deployment")


def test_a_disturbance_is_tried_again(use: Use) -> None:
    use.server.fail = [503, 502]
    code, record = use()
    assert code == 0, record
    assert content(use.server.repository, "staging/deployment.yaml").count(b'"3"') == 1


def test_a_lost_answer_is_no_second_commit(use: Use) -> None:
    use.server.lose_push_answers = 1
    code, record = use()
    assert (code, record["details"]["result"]) == (0, "changed")
    assert commits(use.server.repository) == 2


def test_other_lines_changed_meanwhile(use: Use) -> None:
    other = DEPLOYMENT.replace(b"LOG, value: info", b"LOG, value: debug")
    use.server.before_push = [lambda: change(use.server.repository, "staging/deployment.yaml", other)]
    code, record = use()
    assert (code, record["details"]["tries"]) == (0, 2)
    assert content(use.server.repository, "staging/deployment.yaml") == other.replace(b'value: "1"', b'value: "3"')


def test_the_same_line_changed_meanwhile_and_the_registry_too(use: Use) -> None:
    registry = connect(resolve("", {}, use.folder), {})

    def elsewhere() -> None:
        change(use.server.repository, "staging/deployment.yaml", DEPLOYMENT.replace(b'"1"', b'"2"'))
        registry.set_alias("soc", "staging", 2)

    use.server.before_push = [elsewhere]
    code, record = use()
    assert (code, record["details"]["result"], record["details"]["version"]) == (0, "same", 2)
    assert commits(use.server.repository) == 2


def test_never_back_unless_asked(use: Use) -> None:
    use()
    code, record = use(version="2")
    assert (code, record["status"], record["findings"][0]["code"]) == (0, "warned", "newer-deployed")
    assert commits(use.server.repository) == 2
    code, record = use(version="2", rollback="true")
    assert (code, record["details"]["result"]) == (0, "changed")
    assert b'"2"' in content(use.server.repository, "staging/deployment.yaml")


def test_a_rollback_does_not_undo_what_came_meanwhile(use: Use) -> None:
    change(use.server.repository, "staging/deployment.yaml", DEPLOYMENT.replace(b'"1"', b'"2"'))
    newer = DEPLOYMENT.replace(b'"1"', b'"3"')
    use.server.before_push = [lambda: change(use.server.repository, "staging/deployment.yaml", newer)]
    code, record = use(version="1", rollback="true")
    assert (code, record["details"]["result"]) == (0, "newer")
    assert content(use.server.repository, "staging/deployment.yaml") == newer


def test_two_jobs_at_once(use: Use) -> None:
    """Both have fetched before either pushes; then version 2 and 3 race, and 3 is what stays."""
    barrier = threading.Barrier(2, timeout=60)
    use.server.before_push = [barrier.wait, barrier.wait]
    results: dict[str, tuple[int, dict[str, Any]]] = {}

    def job(version: str) -> None:
        results[version] = Use(use.folder, use.server)(results=f"results-{version}", version=version)

    threads = [threading.Thread(target=job, args=(version,)) for version in ("2", "3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {code for code, _ in results.values()} == {0}
    assert content(use.server.repository, "staging/deployment.yaml") == DEPLOYMENT.replace(b'"1"', b'"3"')
    assert results["3"][1]["details"]["result"] == "changed"
    assert commits(use.server.repository) in {2, 3}
    git("fsck", "--strict", folder=use.server.repository)


def test_pull_request(use: Use) -> None:
    server = use.server
    code, record = use(mode="pull-request", version="2")
    assert code == 0, record
    assert commits(server.repository) == 1
    pulls = server.github.pulls
    head = pulls[1]["head"]["ref"]
    assert content(server.repository, "staging/deployment.yaml", head).count(b'value: "2"') == 1
    assert "Model-Version: models:/soc/2" in pulls[1]["body"]
    assert record["details"]["url"] == "https://github.com/o/manifests/pull/1"
    tip = git("rev-parse", head, folder=server.repository)

    code, record = use(mode="pull-request", version="2")
    assert (code, record["details"]["result"]) == (0, "same")
    assert git("rev-parse", head, folder=server.repository) == tip

    code, record = use(mode="pull-request")
    assert (code, record["details"]["result"]) == (0, "changed")
    assert [pull["title"] for pull in pulls.values()] == ["Deploy soc version 3"]
    assert content(server.repository, "staging/deployment.yaml", head).count(b'value: "3"') == 1

    code, record = use(mode="pull-request", version="2")
    assert (code, record["details"]["result"]) == (0, "newer")

    git("update-ref", "refs/heads/main", head, folder=server.repository)
    code, record = use(mode="pull-request")
    assert (code, record["details"]["result"], len(pulls)) == (0, "same", 1)


def test_a_pull_request_that_may_not_be_opened_is_opened_by_the_next_run(use: Use) -> None:
    use.server.github.forbid_pulls = True
    code, record = use(mode="pull-request")
    assert (code, record["findings"][0]["code"]) == (2, "forbidden")
    assert "not permitted to create" in record["findings"][0]["message"]
    use.server.github.forbid_pulls = False
    code, record = use(mode="pull-request")
    assert (code, len(use.server.github.pulls)) == (0, 1)


def test_a_folder_with_its_branch_checked_out(use: Use, tmp_path: Path) -> None:
    code, record = use(manifests="srv/work", token="")
    assert (code, record["findings"][0]["code"]) == (2, "checked-out-branch")
    code, record = use(manifests="srv/o/manifests.git", token="")
    assert record["details"]["manifests"] == "srv/o/manifests.git"
    assert (code, record["details"]["result"], record["details"]["url"]) == (0, "changed", None)
