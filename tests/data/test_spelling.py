from pyro_gnr.data.spelling import did_you_mean


def test_the_most_similar_word_or_none():
    assert did_you_mean("probt", ["logit", "probit"]) == " (did you mean 'probit'?)"
    assert did_you_mean("x", ["logit", "probit"]) == ""
    assert did_you_mean("x", {}) == ""
