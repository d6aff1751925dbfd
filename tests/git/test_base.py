"""Which revision a change is compared with, event by event."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from flint_ml.errors import InputError
from flint_ml.git.base import Base, Event, find_base, judged_tree, on_default_branch
from flint_ml.git.repository import Git


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def step(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", name)
    return git(folder, "rev-parse", "HEAD")


class Story:
    """main: one, two, three; change: leaves main at two, has four and five; merge: both."""

    def __init__(self, folder: Path) -> None:
        self.origin = folder / "origin"
        self.origin.mkdir()
        git(self.origin, "init", "-q", "-b", "main")
        self.one, self.two = step(self.origin, "one"), step(self.origin, "two")
        git(self.origin, "checkout", "-qb", "change")
        self.four, self.five = step(self.origin, "four"), step(self.origin, "five")
        git(self.origin, "checkout", "-q", "main")
        self.three = step(self.origin, "three")
        git(self.origin, "checkout", "-qb", "merge")
        git(self.origin, "merge", "-q", "--no-ff", "-m", "merge", "change")
        git(self.origin, "checkout", "-q", "main")
        self.folder = folder

    def clone(self, branch: str, *options: str) -> Git:
        target = self.folder / "clone"
        git(self.folder, "clone", "-q", *options, "-b", branch, self.origin.as_uri(), str(target))
        return Git(target)

    def pull_request(self) -> dict[str, Any]:
        return {"pull_request": {"head": {"sha": self.five}, "base": {"ref": "main", "sha": self.three}}}


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def commit(base: Base | None) -> str | None:
    return base.commit if base else None


def test_a_pull_requests_merge_commit_has_the_base_as_first_parent(story: Story) -> None:
    here = story.clone("merge")
    base = find_base(here, Event("pull_request", story.pull_request()))
    assert commit(base) == story.three
    assert "main" in (base.how if base else "")


def test_a_pull_requests_head_is_compared_where_it_left_the_base(story: Story) -> None:
    here = story.clone("change")
    assert commit(find_base(here, Event("pull_request", story.pull_request()))) == story.two


def test_without_the_branch_the_events_base_commit_serves(story: Story) -> None:
    here = story.clone("change", "--single-branch")
    git(here.folder, "fetch", "-q", "origin", story.three)
    assert commit(find_base(here, Event("pull_request", story.pull_request()))) == story.two


@pytest.mark.parametrize("branch", ["merge", "change"])
def test_a_shallow_pull_request_names_the_remedy(story: Story, branch: str) -> None:
    here = story.clone(branch, "--depth", "1")
    with pytest.raises(InputError) as error:
        find_base(here, Event("pull_request", story.pull_request()))
    assert error.value.code == "base-not-fetched"
    assert "fetch-depth: 0" in (error.value.hint or "")


def test_a_push_is_compared_with_what_was_there_before(story: Story) -> None:
    here = story.clone("main")
    assert commit(find_base(here, Event("push", {"before": story.one}))) == story.one
    assert commit(find_base(here, Event("push", {"before": "0" * 40}))) == story.two  # a new branch
    assert commit(find_base(here, Event("push", {"before": "1" * 40}))) == story.two  # a forced push: not here any more
    assert commit(find_base(here, Event("schedule", {}))) == story.two


def test_a_merge_group_names_its_base(story: Story) -> None:
    here = story.clone("merge")
    assert commit(find_base(here, Event("merge_group", {"merge_group": {"base_sha": story.three}}))) == story.three
    with pytest.raises(InputError, match="not in this clone"):
        find_base(here, Event("merge_group", {"merge_group": {"base_sha": "1" * 40}}))


def test_at_a_terminal(story: Story) -> None:
    here = story.clone("change")
    assert commit(find_base(here)) == story.two
    git(here.folder, "checkout", "-q", "main")
    assert commit(find_base(here)) == story.two  # a clean default branch: the commit before
    (here.folder / "one").write_text("edited")
    assert commit(find_base(here)) == story.three  # unsaved work: the last commit


def test_a_revision_that_was_named(story: Story) -> None:
    here = story.clone("change")
    assert find_base(here, explicit="main") == Base(story.three, "`main`")  # found as origin/main
    assert commit(find_base(here, explicit=story.one[:12])) == story.one
    assert commit(find_base(here, explicit="auto")) == story.two
    with pytest.raises(InputError) as error:
        find_base(here, explicit="v1")
    assert error.value.code == "base-not-fetched"


def test_nothing_to_compare_with(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    assert find_base(Git(tmp_path)) is None
    only = step(tmp_path, "only")
    assert find_base(Git(tmp_path), Event("push", {"before": "0" * 40})) is None
    assert find_base(Git(tmp_path)) is None
    assert commit(find_base(Git(tmp_path), explicit="main")) == only


# Real histories of events: which base, which tree. main has one, two, three; change left it at two.


def payload(story: Story, **more: Any) -> dict[str, Any]:
    return {"repository": {"default_branch": "main"}, **more}


@pytest.mark.parametrize("before", ["0" * 40, "1" * 40])
def test_a_branchs_first_push_and_a_forced_one_are_compared_where_it_left_the_default_branch(
    story: Story, before: str
) -> None:
    here = story.clone("change")
    event = Event("push", payload(story, before=before), story.five, "refs/heads/change")
    assert commit(find_base(here, event)) == story.two
    assert not on_default_branch(here, event)


@pytest.mark.parametrize("name", ["workflow_dispatch", "issue_comment", "repository_dispatch", "workflow_run"])
def test_what_is_not_on_the_default_branch_is_compared_where_it_left_it(story: Story, name: str) -> None:
    here = story.clone("change")
    base = find_base(here, Event(name, payload(story), story.three, "refs/heads/main"))
    assert (commit(base), "left `main`" in (base.how if base else "")) == (story.two, True)


def test_the_default_branch_that_the_event_names_counts_and_not_the_clones(story: Story) -> None:
    here = story.clone("change")
    git(here.folder, "remote", "set-head", "origin", "change")
    assert (
        commit(find_base(here, Event("workflow_dispatch", payload(story), story.five, "refs/heads/change")))
        == story.two
    )


@pytest.mark.parametrize("name", ["schedule", "workflow_dispatch", "repository_dispatch"])
def test_on_the_default_branch_it_is_the_commit_before(story: Story, name: str) -> None:
    here = story.clone("main")
    assert commit(find_base(here, Event(name, payload(story), story.three, "refs/heads/main"))) == story.two


def test_five_commits_of_a_push_to_the_default_branch_are_five(story: Story) -> None:
    here = story.clone("main")
    event = Event("push", payload(story, before=story.one), story.three, "refs/heads/main")
    assert (commit(find_base(here, event)), on_default_branch(here, event)) == (story.one, True)


def test_a_tag_of_the_default_branch_is_compared_with_the_commit_before(story: Story) -> None:
    git(story.origin, "tag", "-a", "v1", "-m", "v1", story.two)
    here = story.clone("main")
    git(here.folder, "checkout", "-q", "v1")
    event = Event("push", payload(story, before="0" * 40), story.two, "refs/tags/v1")
    assert commit(find_base(here, event)) == story.one


def test_an_old_run_again_after_update_branch_is_compared_with_the_target(story: Story) -> None:
    """`ref: github.head_ref` brings the branch of today, into which the target was merged meanwhile."""
    git(story.origin, "checkout", "-q", "change")
    git(story.origin, "merge", "-q", "--no-ff", "-m", "Merge main into change", "main")
    here = story.clone("change")
    event = Event("pull_request", {**story.pull_request(), **payload(story)}, "5" * 40)
    assert commit(find_base(here, event)) == story.three
    tree = judged_tree(here, event)
    assert tree.extra == (git(here.folder, "rev-parse", "HEAD"),)


@pytest.mark.parametrize("branch", ["merge", "change"])
def test_a_commit_on_top_is_judged_and_named(story: Story, branch: str) -> None:
    here = story.clone(branch)
    added = step(here.folder, "formatted")
    event = Event("pull_request", story.pull_request())
    assert judged_tree(here, event).extra == (added,)
    assert commit(find_base(here, event)) == (story.three if branch == "merge" else story.two)


@pytest.mark.parametrize("branch", ["merge", "change"])
@pytest.mark.parametrize("depth", [(), ("--depth", "1")])
def test_the_head_and_its_merge_are_the_changes_tree(story: Story, branch: str, depth: tuple[str, ...]) -> None:
    tree = judged_tree(story.clone(branch, *depth), Event("pull_request", story.pull_request()))
    assert (tree.extra, tree.doubt) == ((), "")


@pytest.mark.parametrize("name", ["pull_request_target", "pull_request"])
@pytest.mark.parametrize("depth", [(), ("--depth", "1")])
def test_the_targets_tree_is_not_the_changes(story: Story, name: str, depth: tuple[str, ...]) -> None:
    here = story.clone("main", *depth)
    with pytest.raises(InputError) as caught:
        judged_tree(here, Event(name, story.pull_request(), story.three, "refs/heads/main"))
    assert caught.value.code == "another-tree"
    assert "ref: refs/pull/" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("event", "number"),
    [
        (
            Event(
                "issue_comment",
                {"issue": {"number": 7, "pull_request": {"url": "u"}}, "repository": {"default_branch": "main"}},
            ),
            None,
        ),
        (Event("workflow_dispatch", {"repository": {"default_branch": "main"}}), 7),
    ],
)
def test_a_comment_or_dispatch_about_a_pull_request_does_not_judge_the_default_branch(
    story: Story, event: Event, number: int | None
) -> None:
    with pytest.raises(InputError, match="pull request #7"):
        judged_tree(story.clone("main"), event, number)
    (story.folder / "clone").rename(story.folder / "first")
    judged_tree(story.clone("change"), event, number)


def test_another_repositorys_tree_is_in_doubt(story: Story, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q", "-b", "main")
    step(other, "own")
    assert "another repository" in judged_tree(Git(other), Event("pull_request", story.pull_request())).doubt


@pytest.mark.parametrize("name", ["HEAD", "HEAD^2", "HEAD^2^", "change"])
def test_a_changes_own_commit_is_not_its_base(story: Story, name: str) -> None:
    here = story.clone("merge")
    with pytest.raises(InputError) as caught:
        find_base(here, Event("pull_request", story.pull_request()), name)
    assert caught.value.code == "base-of-change"


@pytest.mark.parametrize("name", ["main", "HEAD^1", "HEAD~2"])
def test_a_commit_of_the_target_may_be_named(story: Story, name: str) -> None:
    here = story.clone("merge")
    assert commit(find_base(here, Event("pull_request", story.pull_request()), name)) in (story.three, story.two)


def test_a_name_is_the_remotes_and_not_a_local_one(story: Story) -> None:
    here = story.clone("merge")
    git(here.folder, "branch", "-f", "main", story.one)
    git(here.folder, "tag", "main", story.one)
    assert commit(find_base(here, Event("pull_request", story.pull_request()), "main")) == story.three


def test_a_worktree_and_a_sparse_checkout_have_the_same_base(story: Story) -> None:
    here = story.clone("merge")
    git(here.folder, "sparse-checkout", "set", "--no-cone", "one")
    git(here.folder, "worktree", "add", "-q", str(story.folder / "tree"), "HEAD")
    event = Event("pull_request", story.pull_request())
    assert commit(find_base(here, event)) == commit(find_base(Git(story.folder / "tree"), event)) == story.three


def test_a_replaced_object_and_grafts_change_nothing(story: Story) -> None:
    here = story.clone("merge")
    git(here.folder, "replace", story.three, story.one)
    (here.folder / ".git/info/grafts").write_text(f"{git(here.folder, 'rev-parse', 'HEAD')} {story.one}\n")
    assert commit(find_base(here, Event("pull_request", story.pull_request()))) == story.three
    assert here.show(story.three, "three") == b"three"
