"""Small wrong changes of C source, one at a time: what a tired programmer could have written instead.

mutants(path) gives Mutant objects in the order of the file. They are found in tokens (comments, strings, preprocessor lines
and asserts are left alone), so a mutant may fail to compile: then it is no mutant, and the runner leaves it out.
"""
import re
from typing import NamedTuple


class Mutant(NamedTuple):
    path: str
    line: int
    start: int
    end: int
    new: str
    kind: str

    def apply(self, text):
        return text[:self.start] + self.new + text[self.end:]

    def name(self, text):
        return f'{self.path}:{self.line} {self.kind}: {text[self.start:self.end]!r} -> {self.new!r}'


SKIP = re.compile(r'/\*.*?\*/|//[^\n]*|^[ \t]*#[^\n]*(?:\\\n[^\n]*)*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', re.S | re.M)
TOKEN = re.compile(r'[A-Za-z_]\w*|0x[0-9a-fA-F]+[uU]?|\d+[uU]?|->|<<=?|>>=?|\+\+|--|[-+*/%&|^!=<>]=|&&|\|\||\S')
SWAP = {'==': '!=', '!=': '==', '<': '<=', '<=': '<', '>': '>=', '>=': '>', '&&': '||', '||': '&&', '++': '--', '--': '++',
        '+=': '-=', '-=': '+='}
STATEMENT = re.compile(r'^ +(?:[\w>\-.\[\]*]+ (?:[-+|&^]?=) [^;{}]*|[\w>\-.]+\([^;{}]*\)|[\w>\-.\[\]]+(?:\+\+|--));$', re.M)
DECLARATION = re.compile(r'^ +(?:const|static|struct|enum|return|goto|break|case|default|else)\b')


def blank(text):
    """The text with what is not code made blank, so that positions stay."""
    return SKIP.sub(lambda m: re.sub(r'[^\n]', ' ', m.group()), text)


def closing(code, at):
    """The position after the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(code)):
        depth += {'(': 1, ')': -1}.get(code[i], 0)
        if depth == 0:
            return i + 1
    return len(code)


def operators(code):
    """Comparisons, connectives, sums and numbers, each with its neighbour."""
    before = ''
    for m in TOKEN.finditer(code):
        token, operand = m.group(), re.match(r'[\w)\]]', before[-1:]) is not None
        if token in SWAP:
            yield m.start(), m.end(), SWAP[token], 'operator'
        elif token in '+-' and operand and before not in ('return', 'case'):
            yield m.start(), m.end(), '-' if token == '+' else '+', 'operator'
        elif re.fullmatch(r'\d+u?', token) and before != '[':
            value = int(token.rstrip('u'))
            yield m.start(), m.end(), str(0 if value == 1 else value + 1), 'number'
        before = token


def conditions(code):
    """An if turned round, or never true: a check that is missing."""
    for m in re.finditer(r'\bif \(', code):
        start, end = m.end() - 1, closing(code, m.end() - 1)
        inner = code[start:end]
        yield start, end, f'(!{inner})', 'negated'
        yield start, end, f'(0 && {inner})', 'check left out'


def statements(code):
    """A statement that is missing: a call or an assignment on a line of its own."""
    for m in STATEMENT.finditer(code):
        before = code[:m.start()].rstrip()[-1:]
        if before in '{};:)' and not DECLARATION.match(m.group()):
            indent = len(m.group()) - len(m.group().lstrip())
            yield m.start() + indent, m.end(), ';', 'statement left out'


def mutants(path):
    text = open(path).read()
    code = blank(text)
    body = code.find('\n{\n')  # nothing before the first function
    found = sorted(set(operators(code)) | set(conditions(code)) | set(statements(code)))
    for start, end, new, kind in found:
        head = code[:start].rfind('\n') + 1
        line = code[head:code.find('\n', start)]
        if start > body and line[:1] == ' ' and 'assert(' not in line and '\n' not in code[start:end]:
            yield Mutant(path, text.count('\n', 0, start) + 1, start, end, new, kind)
