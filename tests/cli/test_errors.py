from pyro_gnr.cli.errors import as_options, show_warning


def test_errors_speak_of_options():
    name = """it's "so" {a: 'b'}"""
    text = f"no: kinds={{{name!r}: 'ignore'}}, or kinds={{'x': ...}}."
    quoted = """'it'"'"'s "so" {a: '"'"'b'"'"'}=ignore'"""
    assert as_options(text) == f"no: --kind {quoted}, or --kind x=...."
    assert as_options("row_key column 'a' fails") == "--row-key column 'a' fails"


def test_a_level_is_an_option():
    assert as_options("as in Delta('site', level='St. Pölten').") == (
        "as in --category 'site=St. Pölten'."
    )
    assert as_options("as in Delta('ward', level=3).") == "as in --category ward=3."
    assert as_options("got level=95, expected a share.") == "got level=95, expected a share."


def test_warnings_speak_of_options_too(capsys):
    show_warning("say kinds={'crp': 'censored_log'}.", UserWarning, "file.py", 1)
    assert capsys.readouterr().err == "pyro-gnr: warning: say --kind crp=censored_log.\n"
