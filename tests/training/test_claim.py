import pytest

import ghostify
from ghostify import GhostifyError
from ghostify.io.lock import lock
from ghostify.training.claim import claimed


def test_one_training_at_a_time(tmp_path):
    folder = tmp_path / "new" / "recovery"
    with claimed(folder):
        with (
            pytest.raises(GhostifyError, match=f"another training is in {folder}: wait"),
            claimed(folder),
        ):
            pass
        with claimed(tmp_path / "other"):
            pass
    with claimed(folder):
        pass


def test_a_folder_is_made_and_removed_if_it_stays_empty(tmp_path):
    (tmp_path / "given").mkdir()
    for folder in (tmp_path / "a" / "b", tmp_path / "given"):
        with claimed(folder):
            assert folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["given"]
    with claimed(tmp_path / "a" / "b"):
        (tmp_path / "a" / "file").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]


def test_a_link_is_another_name_of_its_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real").mkdir()
    with (
        claimed(tmp_path / "link"),
        pytest.raises(GhostifyError, match="another training"),
        claimed(tmp_path / "real"),
    ):
        pass


def test_the_main_process_claims_for_all(tmp_path, monkeypatch):
    with claimed(tmp_path):
        monkeypatch.setenv("RANK", "1")
        with claimed(tmp_path), claimed(tmp_path / "new"):
            assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("stages", [None, 2])
def test_two_trainings_in_one_folder(teacher, student, data, tmp_path, stages):
    def train(**options):
        return ghostify.recover(
            teacher, student, data, epochs=1, stages=stages, folder=tmp_path, **options
        )

    def meanwhile(record):
        for resume in (False, True):
            with pytest.raises(GhostifyError, match="another training is in"):
                train(resume=resume)

    train(on_epoch=meanwhile)
    train()
    with lock(tmp_path) as free:
        assert free


def test_what_a_killed_training_left_is_removed(teacher, student, data, tmp_path):
    for place in (tmp_path, tmp_path / "stage-1"):
        (place / ".checkpoint-000007.x.ghostify-new").mkdir(parents=True)
        (place / ".checkpoint-000006.old").mkdir()
    ghostify.recover(teacher, student, data, epochs=1, folder=tmp_path)
    assert not list(tmp_path.rglob(".*"))
