"""Who is on the lists, what they may spend, and which lists nobody can have meant."""

from __future__ import annotations

import pytest

from ipin_proxy.guestlist import allowance, budgets, client_ids, domains, emails, is_listed, is_sure

ANN, DOMAIN = "ann@example.org", "example.org"


def test_an_organisation_lets_its_accounts_in_and_nobody_who_only_sounds_like_it() -> None:
    listed = domains("example.org, Example.COM")
    assert listed == ("example.org", "example.com")
    assert is_listed(listed, (), ANN, "example.org")
    assert is_listed(listed, (), "ann@other.example", "example.com")  # whose account it is decides
    for domain in (None, "evil-example.org", "example.org.evil.example", "sub.example.org", "org", "", "EXAMPLE.ORG"):
        assert not is_listed(listed, (), ANN, domain)


def test_an_address_lets_one_in() -> None:
    listed = emails("Ann@Example.org, bob@gmail.com")
    assert listed == (ANN, "bob@gmail.com")
    assert is_listed((), listed, ANN, None) and is_listed((), listed, ANN, "whoever.example")
    for email in ("ann@evil-example.org", "xann@example.org", "ann@example.org.evil.example", "", "*"):
        assert not is_listed((), listed, email, None)


def test_nobody_is_on_an_empty_list_and_everybody_behind_a_star() -> None:
    assert not is_listed((), (), ANN, DOMAIN) and not is_listed((), (), "*", "*")
    assert is_listed((), emails("*"), "whoever@example.net", None)


def test_an_address_is_sure_where_it_is_googles_affair_or_named() -> None:
    assert is_sure((), ANN, DOMAIN) and is_sure((), "bob@gmail.com", None) and is_sure((ANN,), ANN, None)
    assert not is_sure(("*",), ANN, None) and not is_sure(("bob@gmail.com",), ANN, None)
    assert not is_sure((), "bob@gmail.com.evil.example", None)


@pytest.mark.parametrize(
    ("email", "domain", "usd"),
    [
        (ANN, "example.org", 5.0),
        (ANN, None, 5.0),
        ("bob@example.org", "example.org", 2.0),
        ("bob@second.example", "example.org", 2.0),  # another domain of the same organisation
        ("bob@third.example", "example.org", 3.0),  # which has a row of its own
        ("bob@example.org", None, 1.0),  # a private account for such an address
        ("bob@evil-example.org", "evil-example.org", 1.0),
        ("bob@sub.example.org", "sub.example.org", 1.0),
        ("bob@gmail.com", None, 0.5),
        ("bob@example.net", None, 1.0),
        ("dean@example.org", "example.org", None),
    ],
)
def test_the_closest_row_counts(email: str, domain: str | None, usd: float | None) -> None:
    rows = budgets(
        "*=1, @example.org=2, ann@example.org = 5,@third.example=3, @gmail.com=0.5,dean@example.org=Unlimited"
    )
    assert allowance(rows, email, domain) == usd


def test_without_a_row_there_is_no_allowance() -> None:
    with pytest.raises(LookupError):
        allowance(budgets("@example.org=2"), "bob@example.net", None)
    with pytest.raises(LookupError):
        allowance((), ANN, DOMAIN)


def test_rows_are_tidy() -> None:
    assert budgets(" A=B@Example.org = 5 ,, *=0, *=0") == ("a=b@example.org=5", "*=0")
    assert allowance(("a=b@example.org=5",), "a=b@example.org", None) == 5.0
    assert client_ids("1-a.apps.googleusercontent.com, 2-b, 2-b") == ("1-a.apps.googleusercontent.com", "2-b")


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "example",
        "gmail.com",
        "googlemail.com",
        "ann@example.org",
        "@example.org",
        "a..b",
        ".org",
        "a b.org",
        "-a.org",
        ",",
        "exa\u212aple.org",
        "a/b.org",
        "x" * 64 + ".org",
    ],
)
def test_what_is_no_domain_of_an_organisation(text: str) -> None:
    with pytest.raises(ValueError):
        domains(text)


@pytest.mark.parametrize(
    "text",
    [
        "ann",
        "@example.org",
        "ann@",
        "ann@example",
        "ann@@example.org",
        "a b@example.org",
        "**",
        ",",
        "änn@example.org",
        "ann@example.org;bob@example.org",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        emails(text)


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "*",
        "*=",
        "=5",
        "*=-1",
        "*=1e3",
        "*=$5",
        "*=1.",
        "*=nan",
        "@=1",
        "example.org=1",
        "*=1,*=2",
        "@a.org=1,@A.org=2",
        "*=٣",
        "*=1000000000000",
        "ann@example.org:5",
    ],
)
def test_what_is_no_table_of_budgets(text: str) -> None:
    with pytest.raises(ValueError):
        budgets(text)


@pytest.mark.parametrize("text", [",", "a b", "https://x", "a;b", "x" * 256])
def test_what_is_no_client(text: str) -> None:
    with pytest.raises(ValueError):
        client_ids(text)
