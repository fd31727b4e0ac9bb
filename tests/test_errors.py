from advisor.errors import closest_path


def test_a_path_with_one_mistyped_part_finds_what_was_meant(tmp_path, monkeypatch):
    (tmp_path / "runs" / "digits" / "best").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert closest_path("runs/digts/best") == "did you mean `runs/digits/best`?"
    assert closest_path("./runs/digits/bst") == "did you mean `runs/digits/best`?"
    assert closest_path(tmp_path / "rns") == f"did you mean `{tmp_path / 'runs'}`?"
    for nothing_like_it in ("photos", "runs/digits/elsewhere", "digts:", "", "/", "rns/digits/worst"):
        assert closest_path(nothing_like_it) == ""
