"""Contracts: every ``property`` line of a stage is a property-based test over each of its implementations.

for verdict in verify(subjects("stdlib/tone.isp"), examples=200):
print(verdict)
"""

from ispdsl.contracts.case import Case
from ispdsl.contracts.counterexample import Counterexample, counterexample
from ispdsl.contracts.engine import Verdict, verify
from ispdsl.contracts.implementations import Implementation, implementations
from ispdsl.contracts.strategies import Shape, cases
from ispdsl.contracts.subject import Line, Subject, subjects

__all__ = [
    "Case",
    "Counterexample",
    "Implementation",
    "Line",
    "Shape",
    "Subject",
    "Verdict",
    "cases",
    "counterexample",
    "implementations",
    "subjects",
    "verify",
]
