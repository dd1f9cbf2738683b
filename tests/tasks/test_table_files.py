"""Tables in files: numbers and words, with and without names of rows and columns, as libraries write them."""

import operator
import re

import numpy as np
import pandas as pd
import pytest

from spectraledge.errors import InputError
from spectraledge.tasks import read_table_file

ADD = [[(a + b) % 4 for b in range(4)] for a in range(4)]
WORDS = ("e", "r", "rr", "rrr")


def written(path, rows, delimiter=","):
    path.write_text("\n".join(delimiter.join(map(str, row)) for row in rows))
    return path


def words(corner=None):
    """Addition mod 4 in words; with a corner also rows and columns."""
    body = [[WORDS[x] for x in row] for row in ADD]
    if corner is None:
        return body
    return [[corner, *WORDS], *([name, *row] for name, row in zip(WORDS, body, strict=True))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_numbers_are_read_between_any_delimiters(tmp_path, delimiter):
    found = read_table_file(written(tmp_path / "t.csv", ADD, delimiter))
    assert (found.numbered().tolist(), found.answers, found.named) == (ADD, (0, 1, 2, 3), "none")


def test_names_may_hold_commas(tmp_path):
    found = read_table_file(written(tmp_path / "t.csv", [["()", "(1,2)"], ["(1,2)", "()"]], ";"))
    assert (found.answers, found.shape) == (("()", "(1,2)"), (2, 2))


def test_what_numpy_and_pandas_write_is_read(tmp_path):
    path = tmp_path / "t.csv"
    np.savetxt(path, np.array(ADD))
    assert read_table_file(path).numbered().tolist() == ADD
    np.savetxt(path, np.array(ADD), fmt="%d", delimiter=",")
    assert read_table_file(path).numbered().tolist() == ADD
    pd.DataFrame(ADD).to_csv(path)
    found = read_table_file(path)
    assert (found.numbered().tolist(), found.named) == (ADD, "rows and columns")
    pd.DataFrame(words(), index=WORDS, columns=WORDS).to_csv(path)
    found = read_table_file(path)
    assert (found.numbered().tolist(), found.named, found.answers) == (ADD, "rows and columns", WORDS)
    pd.DataFrame(ADD).to_csv(path, index=False)
    found = read_table_file(path, square=True)
    assert (found.numbered().tolist(), found.named) == (ADD, "columns")
    assert read_table_file(path).shape == (5, 4)
    pd.DataFrame(ADD).to_csv(path, header=False)
    assert read_table_file(path, square=True).named == "rows"


@pytest.mark.parametrize("corner", ["", "*", "∘", "G", " "])
def test_names_are_told_from_answers_by_the_corner(tmp_path, corner):
    found = read_table_file(written(tmp_path / "t.csv", words(corner)))
    assert (found.rows, found.columns, found.answers) == (WORDS, WORDS, WORDS)
    assert found.numbered().tolist() == ADD


def test_words_without_names_are_numbered_by_the_alphabet(tmp_path):
    found = read_table_file(written(tmp_path / "t.csv", words()))
    assert (found.answers, found.named, found.numbered().tolist()) == (WORDS, "none", ADD)


@pytest.mark.parametrize("corner", ["", "*", "a\\b"])
def test_names_that_are_numbers_are_told_from_answers_by_the_corner(tmp_path, corner):
    rows, columns = [2, 0, 1, 3], [1, 2, 3, 0]
    body = [[(a + b) % 4 for b in columns] for a in rows]
    table = [[corner, *columns], *([name, *row] for name, row in zip(rows, body, strict=True))]
    found = read_table_file(written(tmp_path / "t.csv", table), square=True)
    assert (found.rows, found.columns, found.cells) == (tuple(rows), tuple(columns), tuple(map(tuple, body)))


@pytest.mark.parametrize("corner", ["", "*"])
def test_words_beside_numbers_are_names(tmp_path, corner):
    both = [[corner, *"abcd"], *([name, *row] for name, row in zip("pqrs", ADD, strict=True))]
    found = read_table_file(written(tmp_path / "t.csv", both))
    assert (found.rows, found.columns, found.numbered().tolist()) == (tuple("pqrs"), tuple("abcd"), ADD)
    found = read_table_file(written(tmp_path / "t.csv", [list("abcd"), *ADD]))
    assert (found.rows, found.columns, found.numbered().tolist()) == ((), tuple("abcd"), ADD)
    numbered = [[corner, *"abcd"], *([number, *row] for number, row in zip(range(4), ADD, strict=True))]
    assert read_table_file(written(tmp_path / "t.csv", numbered)).rows == (0, 1, 2, 3)


def test_units_may_be_numbers_and_words(tmp_path):
    units = [["1", "i", "-1", "-i"][number] for number in range(4)]
    rows = [["×", *units], *([units[a], *(units[x] for x in ADD[a])] for a in range(4))]
    found = read_table_file(written(tmp_path / "t.csv", rows))
    assert found.numbered().tolist() == ADD
    assert found.answers == (1, "i", -1, "-i")


def test_a_missing_corner_of_a_table_without_names_is_a_missing_entry(tmp_path):
    rows = [row[:] for row in ADD]
    rows[0][0] = ""
    found = read_table_file(written(tmp_path / "t.csv", rows))
    assert (found.named, found.shape, found.numbered()[0, 0]) == ("none", (4, 4), -1)
    rows = words()
    rows[0][0] = ""
    found = read_table_file(written(tmp_path / "t.csv", rows))
    assert (found.named, found.shape) == ("none", (4, 4))


def test_of_two_rows_an_empty_corner_is_a_missing_entry_unless_a_name_lies_opposite(tmp_path):
    for content in (",1\n1,0\n", ",b\nb,a\n"):
        (tmp_path / "t.csv").write_text(content)
        assert read_table_file(tmp_path / "t.csv", square=True).shape == (2, 2)
    (tmp_path / "t.csv").write_text(",e\ne,e\n")
    assert read_table_file(tmp_path / "t.csv", square=True).named == "rows and columns"
    for content in ("True,False\nFalse,False\n", "1,a\na,1\n"):
        (tmp_path / "t.csv").write_text(content)
        assert read_table_file(tmp_path / "t.csv", square=True).shape == (2, 2)


def test_empty_rows_and_columns_at_the_end_are_no_part_of_a_square(tmp_path):
    for content in ("0,1,2,\n1,2,0,\n2,0,1,\n", "0,1,2\n1,2,0\n2,0,1\n,,\n"):
        (tmp_path / "t.csv").write_text(content)
        found = read_table_file(tmp_path / "t.csv", square=True)
        assert (found.shape, found.named, found.numbered().tolist()[2]) == ((3, 3), "none", [2, 0, 1])
        assert read_table_file(tmp_path / "t.csv").shape == (3, 3)
    (tmp_path / "t.csv").write_text("0,1,\n1,0,\n,,\n")
    assert read_table_file(tmp_path / "t.csv", square=True).shape == (3, 3)


def test_an_answer_of_its_own_in_the_corner_is_no_name(tmp_path):
    rows = words()
    rows[0][0] = "typo"
    assert read_table_file(written(tmp_path / "t.csv", rows)).shape == (4, 4)
    maximum = [[max(a, b) for b in range(4)] for a in range(4)]
    assert read_table_file(written(tmp_path / "t.csv", maximum)).numbered().tolist() == maximum


def test_what_is_told_goes_before_what_is_guessed(tmp_path):
    path = written(tmp_path / "t.csv", words("*"))
    assert read_table_file(path, labels=False).shape == (5, 5)
    path = written(tmp_path / "t.csv", ADD)
    assert (read_table_file(path, labels=True).rows, read_table_file(path, labels=True).shape) == ((1, 2, 3), (3, 3))
    path = written(tmp_path / "t.csv", [[0, 1, 2, 3], *ADD])
    assert read_table_file(path, square=True, labels=True).named == "columns"


def test_nothing_and_nan_are_missing_and_infinity_is_a_name(tmp_path):
    rows = [["*", 0, 1, "inf"], [0, "inf", "", "0"], [1, "NaN", "1", "inf"], ["inf", " 0 ", "inf", " "]]
    found = read_table_file(written(tmp_path / "t.csv", rows))
    assert found.answers == (0, 1, "inf")
    assert found.numbered().tolist() == [[2, -1, 0], [-1, 1, 2], [0, 2, -1]]


@pytest.mark.parametrize("mark", ["NA", "?", "-", "N/A", "null", "."])
@pytest.mark.parametrize("corner", [None, "*"])
def test_a_word_among_numbers_may_mean_a_missing_answer(tmp_path, mark, corner):
    rows = [[mark if (a, b) in ((1, 2), (3, 0)) else ADD[a][b] for b in range(4)] for a in range(4)]
    if corner:
        rows = [[corner, *range(4)], *([a, *rows[a]] for a in range(4))]
    with pytest.raises(
        InputError, match=rf"\('{re.escape(mark)}' is no number, .*: leave cells without an answer empty"
    ):
        read_table_file(written(tmp_path / "t.csv", rows), square=True)
    blank = ["" if cell == mark else cell for row in rows[bool(corner) :] for cell in row[bool(corner) :]]
    found = read_table_file(written(tmp_path / "t.csv", np.reshape(blank, (4, 4)).tolist()), square=True)
    assert (int((found.numbered() < 0).sum()), found.answers) == (2, (0, 1, 2, 3))


def test_minus_one_stands_for_no_answer_where_it_is_one_answer_too_many(tmp_path):
    rows = [[-1 if a == b else ADD[a][b] for b in range(4)] for a in range(4)]
    found = read_table_file(written(tmp_path / "t.csv", rows), square=True)
    assert (found.answers, found.numbered().tolist()) == ((0, 1, 2, 3), rows)
    signed = read_table_file(written(tmp_path / "t.csv", [[x - 1 for x in row] for row in ADD]), square=True)
    assert (signed.answers, signed.numbered().tolist()) == ((-1, 0, 1, 2), ADD)


def test_digits_with_a_low_line_between_them_are_a_name(tmp_path):
    pairs = ["0_0", "0_1", "1_0", "1_1"]
    found = read_table_file(written(tmp_path / "t.csv", [[pairs[a ^ b] for b in range(4)] for a in range(4)]))
    assert found.answers == tuple(pairs)


def test_words_and_numbers_of_a_latin_square_are_all_answers(tmp_path):
    units = ["1", "i", "-1", "-i"]
    found = read_table_file(written(tmp_path / "t.csv", [[units[answer] for answer in row] for row in ADD]))
    assert found.answers == (-1, 1, "-i", "i")


def test_numbers_are_equal_as_numbers(tmp_path):
    found = read_table_file(
        written(tmp_path / "t.csv", [["1", "1.0", "+1"], ["01", "1e0", "2.5"], ["-1", "2", "2.50"]])
    )
    assert found.answers == (-1, 1, 2, 2.5)
    large = ["12345678901234567890", "12345678901234567891"]
    assert len(read_table_file(written(tmp_path / "t.csv", [large, large[::-1]])).answers) == 2


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32, bool, "U3"])
def test_arrays_are_read(tmp_path, dtype):
    np.save(tmp_path / "t.npy", np.array([[0, 1], [1, 0]]).astype(dtype))
    assert read_table_file(tmp_path / "t.npy").numbered().tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0,1\n1\n", r"row 1 has 2 cells, row 2 has 1"),
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("0,1,1\n1,1,1\n", "has 2 rows and 3 columns of answers: an operation's table has as many"),
        ("0,1,2\n1,1,1\n2,2,2\n0,0,0\n", "has 4 rows and 3 columns of answers"),
        ("1,0\n0,1\n1,0\n", "has 3 rows and 2 columns of answers"),
        ("0;1\n", "has 1 rows and 2 columns of answers"),
        ("a\n", "has no answers beside its names"),
        (",a,a\nb,0,1\nc,1,0\n", "a column without a name, or two of one name"),
        ("a,0,1\na,1,0\n", "a row without a name, or two of one name"),
    ],
)
def test_what_is_no_square_of_answers_is_refused(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_table_file(tmp_path / "t.csv", square=True, labels=True if message.startswith("has no answers") else None)


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 2, 2)), np.zeros((2, 2), dtype=complex)], ids=str)
def test_arrays_that_are_no_tables_are_refused(tmp_path, array):
    np.save(tmp_path / "t.npy", array)
    with pytest.raises(InputError, match=r"not a readable table .*must have rows and columns of numbers or names, got"):
        read_table_file(tmp_path / "t.npy")


@pytest.mark.parametrize("name", ["t.txt", "t", "t.xlsx"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / name).write_text("0")
    with pytest.raises(InputError, match=r"give the path of a \.csv or \.npy file"):
        read_table_file(tmp_path / name)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="not a readable table"):
        read_table_file(tmp_path / "t.csv")


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("head", ["", "a,b,answer\n", "0,1,2\n"])
def test_a_list_of_pairs_with_their_answers_is_no_table(tmp_path, head, square):
    path = tmp_path / "list.csv"
    path.write_text(head + "".join(f"{a},{b},{(a + b) % 5}\n" for a in range(1, 5) for b in range(5)))
    with pytest.raises(InputError, match="lists pairs with their answers, three in a row: give a table"):
        read_table_file(path, square=square)
    np.save(tmp_path / "list.npy", [(a, b, a * b % 7) for b in range(7) for a in range(7)])
    with pytest.raises(InputError, match="lists pairs with their answers"):
        read_table_file(tmp_path / "list.npy")


@pytest.mark.parametrize("kind", ["some left out", "one twice", "counted"])
def test_a_list_of_some_pairs_of_a_grid_or_of_one_twice_is_no_table(tmp_path, kind):
    listed = pd.DataFrame([(a, b, (a + b) % 5) for a in range(5) for b in range(5)], columns=["a", "b", "answer"])
    listed = listed.sample(20, random_state=0) if kind == "some left out" else listed
    listed = pd.concat([listed, pd.DataFrame([(1, 2, 4)], columns=listed.columns)]) if kind == "one twice" else listed
    listed.to_csv(tmp_path / "list.csv", index=kind == "counted")
    with pytest.raises(InputError, match="lists pairs with their answers"):
        read_table_file(tmp_path / "list.csv")


def test_tables_of_three_columns_are_read(tmp_path):
    path = tmp_path / "table.csv"
    few = np.random.default_rng(0).integers(0, 5, (40, 3)).tolist()
    products = [[a * b % 11 for b in range(3)] for a in range(11)]
    for table in (products, few, [[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]]):
        path.write_text("\n".join(",".join(map(str, row)) for row in table))
        assert read_table_file(path).numbered().shape == (len(table), 3)


def headed(corner, columns, rows, body):
    return [[corner, *columns], *([name, *row] for name, row in zip(rows, body, strict=True))]


@pytest.mark.parametrize("corner", ["", "*"])
@pytest.mark.parametrize(
    ("columns", "rows", "what"),
    [
        ((0, 1, 2, 3, 3), range(5), "column"),
        (range(5), (0, 1, 1, 3, 4), "row"),
        ((0, 1, "", 3, 4), range(5), "column"),
        (("a", "b", "c", "d", "d"), "abcde", "column"),
        ("abcde", ("a", "", "c", "d", "e"), "row"),
    ],
)
def test_a_name_that_is_there_twice_or_lacks_is_refused_beside_the_answers_that_it_names(
    tmp_path, corner, columns, rows, what
):
    answers = list(range(5)) if columns[0] == 0 else list("abcde")
    body = [[answers[(a + b) % 5] for b in range(5)] for a in range(5)]
    path = written(tmp_path / "t.csv", headed(corner, columns, rows, body))
    with pytest.raises(InputError, match=rf"has a {what} without a name, or two of one name: .* \(--no-labels\)"):
        read_table_file(path, square=True)
    if corner == "" or columns[0] != 0:
        assert read_table_file(path, square=True, labels=False).shape == (6, 6)


@pytest.mark.parametrize(
    ("columns", "rows"), [((0, 1, 2, 3, 5), range(5)), (range(1, 6), range(5)), (range(20, 25), range(10, 15))]
)
def test_rows_and_columns_may_have_other_numbers_as_names(tmp_path, columns, rows):
    body = [[(a + b) % 5 for b in range(5)] for a in range(5)]
    found = read_table_file(written(tmp_path / "t.csv", headed("", columns, rows, body)), square=True)
    assert (found.rows, found.columns, found.numbered().tolist()) == (tuple(rows), tuple(columns), body)


@pytest.mark.parametrize("operation", [max, np.gcd, operator.add, operator.mul, lambda a, b: a // (b + 1)])
@pytest.mark.parametrize("size", [(5, 5), (5, 8), (8, 5)])
def test_what_pandas_writes_has_names_whatever_the_operation_and_its_sides(tmp_path, operation, size):
    table = pd.DataFrame([[int(operation(a, b)) for b in range(size[1])] for a in range(size[0])])
    table.to_csv(tmp_path / "t.csv")
    found = read_table_file(tmp_path / "t.csv", square=size[0] == size[1])
    assert (found.rows, found.columns) == (tuple(range(size[0])), tuple(range(size[1])))
    assert np.array(found.cells).tolist() == table.to_numpy().tolist()


def test_a_wrong_answer_in_a_table_with_names_leaves_them_names(tmp_path):
    body = [[(a + b) % 5 for b in range(5)] for a in range(5)]
    body[1][3] = 9
    for corner in ("", "*"):
        found = read_table_file(written(tmp_path / "t.csv", headed(corner, range(5), range(5), body)), square=True)
        assert (found.named, found.shape, found.answers[-1]) == ("rows and columns", (5, 5), 9)


def test_a_noisy_table_without_names_or_its_corner_keeps_its_edges(tmp_path):
    generator = np.random.default_rng(0)
    for _ in range(20):
        rows = [[(a + b) % 9 for b in range(9)] for a in range(9)]
        for a, b, answer in generator.integers(0, 9, (4, 3)).tolist():
            rows[a][b] = answer
        rows[0][0] = ""
        assert read_table_file(written(tmp_path / "t.csv", rows), square=True).shape == (9, 9)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " ", ", "])
def test_cycles_pairs_and_quoted_names_hold_delimiters(tmp_path, delimiter):
    for names in (["()", "(1,2)(3,4)"], ["(1 2)", "()"], ["((0, 1), 0)", "((0, 0), 0)"], ["[0; 1]", "{1\t2}"]):
        table = [[names[a ^ b] for b in range(2)] for a in range(2)]
        found = read_table_file(written(tmp_path / "t.csv", table, delimiter), square=True)
        assert [list(row) for row in found.cells] == table
    if delimiter != " ":
        quoted = [[f'"{name}"' for name in ("x;y", "z,w")], [f'"{name}"' for name in ("z,w", "x;y")]]
        found = read_table_file(written(tmp_path / "t.csv", quoted, delimiter), square=True)
        assert found.cells == (("x;y", "z,w"), ("z,w", "x;y"))


def test_lists_of_lists_are_no_table_of_one_answer(tmp_path):
    (tmp_path / "t.csv").write_text("[[0, 1], [1, 0]]\n")
    with pytest.raises(InputError, match="has no answers beside its names"):
        read_table_file(tmp_path / "t.csv", square=True)


def test_brackets_that_are_not_closed_are_letters(tmp_path):
    found = read_table_file(written(tmp_path / "t.csv", [["(", ")"], [":)", ":("]]))
    assert found.cells == (("(", ")"), (":)", ":("))


def test_lines_of_blanks_and_lines_in_quotes(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'"a\nb",c\r\nc,"a\nb"\r\n   \r\n')
    assert read_table_file(tmp_path / "t.csv", square=True).cells == (("a\nb", "c"), ("c", "a\nb"))


def test_integers_are_told_apart_at_any_size_and_letters_by_what_they_are(tmp_path):
    large = [f"{2**53 + number}.0" for number in range(3)]
    table = [[large[(a + b) % 3] for b in range(3)] for a in range(3)]
    assert read_table_file(written(tmp_path / "t.csv", table)).answers == (2**53, 2**53 + 1, 2**53 + 2)
    found = read_table_file(written(tmp_path / "t.csv", [["e\u0301", "a"], ["a", "\u00e9"]]))
    assert found.answers == ("a", "\u00e9")


def test_infinity_in_an_array_is_a_name_as_in_text(tmp_path):
    np.save(tmp_path / "t.npy", [[np.inf, -np.inf], [-np.inf, np.inf]])
    assert read_table_file(tmp_path / "t.npy", square=True).answers == ("-inf", "inf")


@pytest.mark.parametrize("content", ['"0,1\n1,0\n', '0,"1\n1,0\n'])
def test_a_quote_that_is_not_closed_is_refused(tmp_path, content):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError, match="a quote that is opened is not closed"):
        read_table_file(tmp_path / "t.csv", square=True)


@pytest.mark.parametrize("side", ["rows", "columns"])
@pytest.mark.parametrize("names", [(7, 5, 6, 9), ("u", "v", "w", "x"), WORDS])
def test_one_line_of_names_stands_before_a_square_of_numbers_or_words(tmp_path, side, names):
    for body in (ADD, words()):
        lines = [[*names], *body]
        lines = lines if side == "columns" else np.array(lines, dtype=object).T.tolist()
        found = read_table_file(written(tmp_path / "t.csv", lines), square=True)
        assert (found.named, found.shape, getattr(found, side)) == (side, (4, 4), names)
        assert found.numbered().tolist() == ADD


def test_words_and_numbers_of_a_latin_square_are_answers_in_any_order(tmp_path):
    units = ["i", "1", "-i", "j", "-1", "k"]
    table = [[units[(a - b) % 6] for b in range(6)] for a in range(6)]
    found = read_table_file(written(tmp_path / "t.csv", table), square=True)
    assert (found.named, len(found.answers)) == ("none", 6)
