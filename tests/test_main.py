import pytest

import skfairaug.__main__ as cli


def test_the_tables_are_not_among_the_commands(capsys):
    with pytest.raises(SystemExit):
        cli.main(["tables", "--table", "4"])
    assert "invalid choice: 'tables'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "python -m benchmarks.paper" in capsys.readouterr().out


def test_demo_shows_both_networks_and_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    picture = tmp_path / "pareto.png"
    assert cli.main(["demo", "--n-samples", "1500", "--picture", str(picture)]) == 0
    printed = capsys.readouterr().out
    for word in ("before", "after", "female", "male", "selection rate", "TPR", "Phi"):
        assert word in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
