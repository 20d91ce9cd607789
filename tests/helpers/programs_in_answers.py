"""Programs that read a number and print one, and the styles of code blocks in which models write them."""

from hypothesis import strategies as st

LINES = st.sampled_from(
    (
        *(
            "x = 1",
            "# a comment ```",
            "y = '```'",
            's = """\n```\n"""',
            "def f():\n    return 2",
            "if 1:\n    print(2)",
        ),
        *(
            "",
            "print(input())",
            "import sys",
            "print('</think>')",
            "t = '''\n```python\nprint(3)\n```\n'''",
            "z = [\n    1,\n]",
        ),
    )
)
PROGRAMS = st.lists(LINES, max_size=6).map(lambda lines: "\n".join([*lines, "print(int(input()) + 1)"]))
STYLES = {
    "usual": "```python\n{}\n```",
    "no language": "So:\n\n```\n{}\n```\n\nDone.",
    "longer": "````py\n{}\n````",
    "tildes": "~~~python3\n{}\n~~~",
    "after words": "The program: ```python\n{}\n```\nDone.",
    "at the end": "```python\n{}```",
    "end token": "```python\n{}\n```<|eot_id|>",
    "not closed": "```python\n{}",
    "no opening fence": "{}\n```\n\nDone.",
    "with output": "```python\n{}\n```\n\n```\n3 4\n```",
    "with another language": "```python\n{}\n```\n\n```java\nclass A {{}}\n```",
    "bare": "{}",
}
