"""Which texts of an entry count, and what is read of them: comments, languages, annotations, markup."""

import json

import pytest
from helpers.reading import refusal
from helpers.webnlg_files import task_on

TRIPLES = "<modifiedtripleset><mtriple>Ada_Low | birthPlace | Rivertown</mtriple></modifiedtripleset>"
TEXT = "Ada Low was born in Rivertown."


def xml(*entries):
    """Entries, each given by its <lex> elements."""
    parts = [f'<entry category="A" eid="Id{i}" size="1">{TRIPLES}{e}</entry>' for i, e in enumerate(entries, start=1)]
    return f"<benchmark><entries>{''.join(parts)}</entries></benchmark>"


def as_json(*entries):
    """Entries, each given by its lexicalisations."""
    triple = {"subject": "Ada_Low", "property": "birthPlace", "object": "Rivertown"}
    return json.dumps({"entries": [
        {str(i): {"category": "A", "modifiedtripleset": [triple], "lexicalisations": texts}}
        for i, texts in enumerate(entries, start=1)
    ]})  # fmt: skip


@pytest.fixture
def read(tmp_path):
    """A function that writes a split and gives the texts of its entries."""

    def read(content, split="train"):
        kind = "xml" if content.startswith("<") else "json"
        (tmp_path / f"{split}.{kind}").write_text(content, encoding="utf-8")
        return [sample.targets for sample in task_on(tmp_path).read(split)]

    return read


@pytest.fixture
def refused(tmp_path):
    """A function that writes a split and gives the line that refuses it, without the folder."""

    def refused(content, split="train"):
        kind = "xml" if content.startswith("<") else "json"
        (tmp_path / f"{split}.{kind}").write_text(content, encoding="utf-8")
        return refusal(task_on(tmp_path), split).removeprefix(f"{tmp_path}/")

    return refused


ENRICHED = (
    '<lex comment="good"><sortedtripleset><sentence ID="1"><striple>Ada_Low | a | b</striple></sentence>'
    "</sortedtripleset><references><reference>Ada Low</reference></references>\n {} "
    "<template>AGENT-1 was born</template></lex>"
)


@pytest.mark.parametrize(
    "lex",
    [
        f'<lex comment="good">{TEXT}</lex>',
        f'<lex comment="good">\n <text>{TEXT}</text>\n</lex>',
        ENRICHED.format(f"<text>{TEXT}</text>"),
        '<lex comment="good">Ada <i>Low</i> was <b>born <i>in</i></b> Rivertown.</lex>',
        '<lex comment="good"><text>Ada <i>Low</i> was born in Rivertown.</text></lex>',
        '<lex comment="good">Ada Low was <!-- not --> born in Rivertown.</lex>'.replace(
            "<!-- not --> ", "<!-- not -->"
        ),
        "<lex comment='good'>Ada Low <![CDATA[was born]]> in Rivertown.</lex>",
    ],
)
def test_whole_text_is_read_wherever_it_stands(read, lex):
    assert read(xml(lex)) == [(TEXT,)]


@pytest.mark.parametrize(
    ("lex", "complaint"),
    [
        ('<lex comment="good"> </lex>', "an empty <lex>"),
        ('<lex comment="good"><i/> </lex>', "an empty <lex>"),
        ('<lex comment="good">x<text>\n</text></lex>', "an empty <text>"),
        ('<lex comment="good"><text>a</text><text>b</text></lex>', "found 2 <text> in a <lex> with annotations"),
        (ENRICHED.format(""), "found 0 <text> in a <lex> with annotations; expected one"),
    ],
)
def test_text_that_is_empty_or_not_the_only_one_is_refused_with_its_entry(refused, lex, complaint):
    assert refused(xml(f"<lex>{TEXT}</lex>", lex)).startswith(f"train.xml, entry Id2: {complaint}")


def test_text_of_blanks_in_json_is_refused_with_its_entry_unless_it_does_not_count(read, refused):
    assert refused(as_json([{"lex": TEXT}], [{"lex": " \n"}])) == "train.json, entry 2: an empty text"
    assert read(as_json([{"lex": TEXT}, {"lex": " ", "comment": "toFix"}])) == [(TEXT,)]


@pytest.mark.parametrize(
    "content",
    [
        xml(f"<lex>{TEXT}</lex><lex comment=''>Two.</lex><lex comment='good'>Three.</lex><lex comment='bad'>no</lex>"),
        as_json([{"lex": TEXT}, {"lex": "Two.", "comment": ""}, {"lex": "Three.", "comment": "good"},
                 {"lex": "no", "comment": "toFix"}, {"lex": "no", "comment": "bad"}]),
        as_json([{"lex": TEXT, "comment": None}, {"lex": "Two."}, {"lex": "Three."}]),
    ],
)  # fmt: skip
def test_text_without_a_comment_counts_as_good(read, content):
    assert read(content) == [(TEXT, "Two.", "Three.")]


def test_split_without_a_good_text_says_what_is_missing_and_where(refused):
    end = ": no text (en) with comment=good or without a comment; nor has any other entry one"
    assert refused(xml("<lex comment='toFix'>no</lex>", "")) == f"train.xml, entry Id1{end}"


@pytest.mark.parametrize("name", ["", "en", "EN"])
def test_english_is_taken_where_train_has_several_languages(read, name):
    english, russian = f"<lex lang='{name}'>{TEXT}</lex>", "<lex lang='ru'>Ада</lex>"
    assert read(xml(russian + english, russian, english)) == [(TEXT,), (TEXT,)]
    assert read(xml(russian + english, russian), "test") == [(TEXT,)]
    assert read(as_json([{"lex": "Ада", "lang": "ru"}, {"lex": TEXT, "lang": name}]), "dev") == [(TEXT,)]


def test_language_of_train_is_that_of_the_other_splits(read, refused):
    russian = xml("<lex lang='ru'>Ада</lex>")
    assert read(russian) == [("Ада",)]
    assert refused(xml(f"<lex>{TEXT}</lex>"), "test").startswith("test.xml, entry Id1: no text (ru) with comment=good")


def test_several_languages_without_english_are_refused(refused):
    message = refused(xml("<lex lang='ru'>Ада</lex><lex lang='de'>Ada</lex>"))
    assert message == "train.xml: found texts in de, ru; allowed: one language, or also English"


# -- XML that is no data ---------------------------------------------------------------------------------------------

BOMB = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 100}">' for i in range(1, 9))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (f'<!DOCTYPE b [<!ENTITY e0 "ha">{BOMB}]>{xml("<lex>&e8;</lex>")}', ": not whole XML (limit on input ampl"),
        (
            f'<!DOCTYPE b [<!ENTITY e SYSTEM "/etc/group">]>{xml("<lex>&e;</lex>")}',
            ": not whole XML (undefined entity",
        ),
        ("<a>" * 100_000, ": not whole XML (no element found"),
        ("<a>" * 100_000 + "</a>" * 100_000, ": no examples"),
        (f"<a b='{'x' * 5_000_000}'/>", ": no examples"),
        ("<a b='1' b='2'/>", ": not whole XML (duplicate attribute"),
        ("<a>\x01</a>", ": not whole XML (not well-formed (invalid token)"),
    ],
)
def test_xml_that_is_no_data_is_told_in_one_line(refused, content, complaint):
    message = refused(content)
    assert complaint in message
    assert message.startswith("train.xml")


def test_deep_markup_and_entities_of_the_file_itself_are_read(read):
    deep = "<i>" * 50_000 + TEXT + "</i>" * 50_000
    entity = f'<!DOCTYPE b [<!ENTITY place "Rivertown">]>{xml(f"<lex>{deep}</lex><lex>In &place;.</lex>")}'
    assert read(entity) == [(TEXT, "In Rivertown.")]
